import { setTimeout as wait } from "node:timers/promises";
import type { Schema, SchemaSource } from "./schema.ts";

/** The connection to the server whose contracts are loaded, as returned by `dial`. */
export interface SchemaUpstream {
  readonly state: string;
  /** Connects and resolves as soon as calls can be made. */
  ready(signal: AbortSignal): Promise<void>;
  /** Calls `fn` at every change of `state`. @returns a function that ends that */
  onChange?(fn: () => void): () => void;
}

/** Options of `keepLoaded`. */
export interface SchemaLoaderOptions {
  readonly source: SchemaSource;
  readonly upstream: SchemaUpstream;
  /** Puts a schema into use. If it throws, it must have changed nothing. */
  readonly apply: (schema: Schema) => void;
  /** Called when a load has failed, with the reason and the milliseconds until the next attempt. */
  readonly onFailure: (reason: unknown, retryMs: number) => void;
  /** Stops the loader. */
  readonly signal: AbortSignal;
  /** A number from 0 to 1 for the jitter. Default: `Math.random`. */
  readonly random?: () => number;
}

/** The first and the longest pause between failed loads, in milliseconds. */
const pauses = { firstMs: 500, longestMs: 15_000 };

/** Exponential backoff: factor from one pause to the next, and the random part of a pause in both directions. */
const growth = 1.6;
const jitter = 0.2;

/** Interval in which the state of a connection without `onChange` is polled, in milliseconds. */
const pollEveryMs = 200;

/**
 * Loads contracts, with retries until a load succeeds, and again whenever the connection to the upstream was lost and
 * is restored. The previous schema stays in use when a later load fails. Resolves when `signal` fires.
 */
export async function keepLoaded(options: SchemaLoaderOptions): Promise<void> {
  const { source, upstream, apply, signal } = options;
  try {
    for (;;) {
      await untilLoaded(options, async () => apply(await source.load(signal)));
      while (upstream.state === "ready") await change(upstream, signal);
      await upstream.ready(signal);
      signal.throwIfAborted();
    }
  } catch (reason) {
    if (!signal.aborted) throw reason;
  }
}

/** Waits until the state may have changed. */
async function change(upstream: SchemaUpstream, signal: AbortSignal): Promise<void> {
  if (upstream.onChange === undefined) {
    await wait(pollEveryMs, undefined, { signal });
    return;
  }
  signal.throwIfAborted();
  let forget = (): void => {};
  await new Promise<void>((resolve) => {
    const end = (): void => resolve();
    const ended = upstream.onChange?.(end);
    signal.addEventListener("abort", end);
    forget = () => {
      ended?.();
      signal.removeEventListener("abort", end);
    };
  });
  forget();
  signal.throwIfAborted();
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
