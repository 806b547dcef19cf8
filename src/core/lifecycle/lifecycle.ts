/**
 * States of a server, in the order of a life without mishap: made, `start()` called, port bound, serving,
 * stopping gracefully, stopped. `error` follows a `start()` that failed.
 */
export type ServerState = "init" | "boot" | "listen" | "ready" | "error" | "graceful" | "stop";

/** Which states may follow which. */
const next: Readonly<Record<ServerState, readonly ServerState[]>> = {
  init: ["boot", "stop"],
  boot: ["listen", "error", "graceful", "stop"],
  listen: ["ready", "error", "graceful", "stop"],
  ready: ["graceful", "stop"],
  error: ["boot", "stop"],
  graceful: ["stop"],
  stop: [],
};

/** How a server ended. */
export interface StopReport {
  /** Calls that were under way when the stop began and came to their own end. */
  readonly finished: number;
  /**
   * Names of the streams that were ended with UNAVAILABLE shortly before the end of the grace, in the way of their
   * protocol, so that their clients can go elsewhere; one for each call.
   */
  readonly notified: readonly string[];
  /** Names of the calls that were cut off when the grace was over, one for each call. */
  readonly cut: readonly string[];
}

/** Several parts of one server as one report. */
export function sumOfReports(reports: readonly StopReport[]): StopReport {
  return {
    finished: reports.reduce((sum, { finished }) => sum + finished, 0),
    notified: reports.flatMap(({ notified }) => notified),
    cut: reports.flatMap(({ cut }) => cut),
  };
}

/** Options of `gracefulStop`. */
export interface StopOptions {
  /** How long calls under way may go on, in milliseconds. Default: 15,000. */
  readonly graceMs?: number;
}

/** Grace of a stop unless said otherwise, in milliseconds. */
export const defaultGraceMs = 15_000;

/**
 * When, after the begin of a stop, streams of replies that still run are ended: a tenth of the grace before its end, at
 * most a second. Until then a stream that ends by itself is whole; after it there is time to tell its client.
 *
 * @param graceMs in milliseconds, as the result
 */
export function noticeAfterMs(graceMs: number): number {
  return graceMs - Math.min(1000, graceMs / 10);
}

/** What signal handling and programs know of a server. */
export interface ManagedServer {
  /** Short name for people and logs, for example `GRPC`. */
  readonly name: string;
  readonly state: ServerState;
  /** Tells clients and balancers to go elsewhere (health, readiness) while everything is still served. */
  drain(): void;
  /**
   * Closes the listeners and lets calls under way end. Streams of replies that still run at `noticeAfterMs` end with
   * UNAVAILABLE; what is left after the grace is cut off. Idempotent.
   */
  gracefulStop(options?: StopOptions): Promise<StopReport>;
}

/** The state of one server, with an event on each change. */
export class Lifecycle {
  #state: ServerState = "init";
  readonly #listeners = new Set<(state: ServerState) => void>();

  get state(): ServerState {
    return this.#state;
  }

  /** Calls `listener` with every new state; returns how to unsubscribe. */
  onChange(listener: (state: ServerState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Goes to `state`.
   *
   * @throws Error if that state may not follow the present one, which names both.
   */
  enter(state: ServerState): void {
    if (!next[this.#state].includes(state)) {
      throw new Error(`a server in state "${this.#state}" cannot go to "${state}"`);
    }
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state);
  }
}
