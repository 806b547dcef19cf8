import { setTimeout as wait } from "node:timers/promises";
import type { Schema, SchemaSource } from "./schema.ts";

/** The connection to the server whose contracts are loaded; what `dial` gives. */
export interface SchemaUpstream {
  readonly state: string;
  /** Connects and resolves as soon as calls can be made. */
  ready(signal: AbortSignal): Promise<void>;
}

/** Options of `keepLoaded`. */
export interface SchemaLoaderOptions {
  readonly source: SchemaSource;
  readonly upstream: SchemaUpstream;
  /** Puts a schema to use, whole or, when it throws, not at all. */
  readonly apply: (schema: Schema) => void;
  /** Is told why a load failed, and in how many milliseconds the next one comes. */
  readonly onFailure: (reason: unknown, retryMs: number) => void;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** A number from 0 to 1 for the jitter. Default: `Math.random`. */
  readonly random?: () => number;
}

/** Pauses between failed loads, in milliseconds: the first one, and the longest. */
const pauses = { firstMs: 500, longestMs: 15_000 };

/** Each pause is so many times as long as the one before, and up to a fifth shorter or longer by chance. */
const growth = 1.6;
const jitter = 0.2;

/** How often we look whether the connection was lost, in milliseconds. */
const lookEveryMs = 200;

/**
 * Loads contracts until it works, and again whenever the upstream comes back after it was gone; what is loaded stays in
 * use when a later load fails. Resolves when `signal` fires.
 */
export async function keepLoaded(options: SchemaLoaderOptions): Promise<void> {
  const { source, upstream, apply, signal } = options;
  try {
    for (;;) {
      await untilLoaded(options, async () => apply(await source.load(signal)));
      while (upstream.state === "ready") await wait(lookEveryMs, undefined, { signal });
      await upstream.ready(signal);
      signal.throwIfAborted();
    }
  } catch (reason) {
    if (!signal.aborted) throw reason;
  }
}

async function untilLoaded(
  { onFailure, signal, random = Math.random }: SchemaLoaderOptions,
  load: () => Promise<void>,
): Promise<void> {
  for (let pauseMs = pauses.firstMs; ; pauseMs = Math.min(pauseMs * growth, pauses.longestMs)) {
    try {
      await load();
      return;
    } catch (reason) {
      signal.throwIfAborted();
      const retryMs = Math.round(pauseMs * (1 - jitter + 2 * jitter * random()));
      onFailure(reason, retryMs);
      await wait(retryMs, undefined, { signal });
    }
  }
}
