import { Code, ConnectError } from "../errors/errors.ts";
import { systemClock, type Clock } from "../time/clock.ts";
import { compareEndpoints, type EndpointChange, type EndpointSet } from "./endpoint-list.ts";
import type { Endpoint, Resolver } from "./resolver.ts";

/** What an `EndpointWatch` needs. */
export interface EndpointWatchOptions {
  /** How long the last endpoints stay after the resolver has said that there are none, in milliseconds. Default: 30,000. */
  readonly staleMs?: number;
  /** Called with every change of the endpoints, and as the first answer comes, even if it is empty. */
  readonly onChange: (change: EndpointChange) => void;
  /** Called with the result of every look of the resolver. Default: nothing. */
  readonly onLook?: (result: LookResult) => void;
  /** Called with every failure of the resolver. Default: nothing. */
  readonly onFailure?: (error: ConnectError) => void;
  readonly clock?: Clock;
}

/** What a look of a resolver has found: other endpoints, the same, none at all, or nothing for a failure. */
export type LookResult = "changed" | "unchanged" | "empty" | "failed";

/** Figures of the discovery of endpoints. */
export interface DiscoveryStats {
  /** Where the resolver looks, such as `dns` or `consul`. */
  readonly source: string;
  /** Time since the last answer, in milliseconds; undefined before the first one. */
  readonly ageMs: number | undefined;
  /** Whether the endpoints are those from before an empty answer. */
  readonly stale: boolean;
  /** Why the last look failed; undefined if it did not. The cause is for logs. */
  readonly error: ConnectError | undefined;
}

/** What is known of the endpoints: no answer yet, none but failures so far, or an answer. */
export type Resolution =
  | { readonly kind: "waiting" }
  | { readonly kind: "failed"; readonly error: ConnectError }
  | { readonly kind: "known" };

/** A resolver is asked to look again at most once in this time, in milliseconds. */
const refreshMs = 5_000;

const none: EndpointSet = new Map();

/**
 * The endpoints of one target over time: what its resolver found last, through failures without limit of time, and
 * through empty answers for `staleMs`.
 */
export class EndpointWatch {
  readonly #resolver: Resolver;
  readonly #options: EndpointWatchOptions;
  readonly #clock: Clock;
  readonly #closed = new AbortController();
  #resolution: Resolution = { kind: "waiting" };
  #endpoints: EndpointSet = none;
  #answeredMs: number | undefined;
  /** That of the last look. */
  #error: ConnectError | undefined;
  #refreshedMs = Number.NEGATIVE_INFINITY;
  /** When it failed last. */
  #failedMs = Number.NEGATIVE_INFINITY;
  /** Cancels the end of the endpoints that an empty answer has made stale. */
  #cancelEnd: (() => void) | undefined;

  /** Begins to watch. */
  constructor(resolver: Resolver, options: EndpointWatchOptions) {
    this.#resolver = resolver;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const { signal } = this.#closed;
    resolver.watch(
      {
        update: (endpoints) => {
          if (!signal.aborted) this.#update(endpoints);
        },
        failed: (error) => {
          if (!signal.aborted) this.#failed(error);
        },
        confirmed: () => {
          if (!signal.aborted) this.#confirmed();
        },
      },
      signal,
    );
  }

  get resolution(): Resolution {
    return this.#resolution;
  }

  get endpoints(): EndpointSet {
    return this.#endpoints;
  }

  /** Whether the endpoints are those from before an empty answer. */
  get isStale(): boolean {
    return this.#cancelEnd !== undefined;
  }

  /** Time since the last answer of the resolver, in milliseconds; undefined before the first one. */
  get ageMs(): number | undefined {
    return this.#answeredMs === undefined ? undefined : this.#clock.nowMs() - this.#answeredMs;
  }

  get stats(): DiscoveryStats {
    return { source: this.#resolver.name, ageMs: this.ageMs, stale: this.isStale, error: this.#error };
  }

  /** Makes the resolver look again, at most once in 5 s. */
  refresh(): void {
    const nowMs = this.#clock.nowMs();
    if (this.#closed.signal.aborted || nowMs - this.#refreshedMs < refreshMs) return;
    this.#refreshedMs = nowMs;
    this.#resolver.refresh?.();
  }

  /**
   * The error of calls while there is no endpoint. If the resolver has not been able to look for 5 s, it looks now: calls
   * need what it pauses for.
   *
   * @param name the first word of its text
   */
  noEndpoint(name: string): ConnectError {
    const { name: source } = this.#resolver;
    if (this.#resolution.kind === "failed") {
      const { error } = this.#resolution;
      if (this.#clock.nowMs() - this.#failedMs >= refreshMs) this.refresh();
      const text = `${name}: no endpoint (${error.rawMessage})`;
      return new ConnectError(text, Code.Unavailable, undefined, undefined, error);
    }
    return new ConnectError(`${name}: no endpoint (${source}: 0 instances)`, Code.Unavailable);
  }

  /** Ends the watch; there are no changes after it. */
  close(): void {
    this.#closed.abort();
    this.#stopEnd();
  }

  #update(list: readonly Endpoint[]): void {
    const isFirst = this.#resolution.kind !== "known";
    this.#resolution = { kind: "known" };
    this.#answeredMs = this.#clock.nowMs();
    this.#error = undefined;
    if (list.length === 0 && this.#endpoints.size > 0) {
      this.#options.onLook?.("empty");
      this.#cancelEnd ??= this.#clock.after(this.#options.staleMs ?? 30_000, () => this.#end(), false);
      return;
    }
    this.#stopEnd();
    const isChanged = this.#change(list, isFirst);
    this.#options.onLook?.(list.length === 0 ? "empty" : isChanged ? "changed" : "unchanged");
  }

  #confirmed(): void {
    this.#answeredMs = this.#clock.nowMs();
    this.#error = undefined;
    this.#options.onLook?.("unchanged");
  }

  #failed(error: ConnectError): void {
    this.#error = error;
    this.#failedMs = this.#clock.nowMs();
    if (this.#resolution.kind !== "known") this.#resolution = { kind: "failed", error };
    this.#options.onLook?.("failed");
    this.#options.onFailure?.(error);
  }

  #end(): void {
    this.#cancelEnd = undefined;
    this.#change([], false);
  }

  #stopEnd(): void {
    this.#cancelEnd?.();
    this.#cancelEnd = undefined;
  }

  /** @returns whether the endpoints are others now */
  #change(list: readonly Endpoint[], isFirst: boolean): boolean {
    const change = compareEndpoints(this.#endpoints, list);
    if (change !== undefined) {
      this.#endpoints = change.endpoints;
      this.#options.onChange(change);
    } else if (isFirst) {
      this.#options.onChange({ endpoints: this.#endpoints, added: [], removed: [], changed: [] });
    }
    return change !== undefined;
  }
}
