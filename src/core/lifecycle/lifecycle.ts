/**
 * States of a server, in the order of a life without errors: constructed, `start()` called, port bound, serving,
 * stopping gracefully, stopped. `error` follows a failed `start()`.
 */
export type ServerState = "init" | "boot" | "listen" | "ready" | "error" | "graceful" | "stop";

/** The states that may follow each state. */
const next: Readonly<Record<ServerState, readonly ServerState[]>> = {
  init: ["boot", "stop"],
  boot: ["listen", "error", "graceful", "stop"],
  listen: ["ready", "error", "graceful", "stop"],
  ready: ["graceful", "stop"],
  error: ["boot", "stop"],
  graceful: ["stop"],
  stop: [],
};

/** The outcome of a server's stop. */
export interface StopReport {
  /** Calls that were in flight when the stop began and completed by themselves. */
  readonly finished: number;
  /**
   * Names of the streams that the server ended with UNAVAILABLE shortly before the end of the grace period, in the form
   * of their protocol, so that clients can reconnect elsewhere; one for each call.
   */
  readonly notified: readonly string[];
  /** Names of the calls that were aborted at the end of the grace period, one for each call. */
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
  /** Grace period: how long calls in flight may continue, in milliseconds. Default: 15,000. */
  readonly graceMs?: number;
}

/** Default grace period of a stop, in milliseconds. */
export const defaultGraceMs = 15_000;

/**
 * When, after the begin of a stop, active streams of replies are ended: a tenth of the grace period before its end, at
 * most a second before. The rest of the grace period is the time to send clients the end of their stream.
 *
 * @param graceMs in milliseconds, as the result
 */
export function noticeAfterMs(graceMs: number): number {
  return graceMs - Math.min(1000, graceMs / 10);
}

/** A server as signal handling and programs see it. */
export interface ManagedServer {
  /** Short name for logs and start-up messages, for example `GRPC`. */
  readonly name: string;
  readonly state: ServerState;
  /**
   * Reports the server as not serving in health and readiness, so that balancers stop sending new calls. All calls are
   * still served.
   */
  drain(): void;
  /**
   * Closes the listeners and waits for the calls in flight. Streams of replies that are active after `noticeAfterMs`
   * end with UNAVAILABLE; calls that remain after the grace period are aborted. Idempotent.
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

  /** Calls `listener` with every new state. Returns the function that unsubscribes. */
  onChange(listener: (state: ServerState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Changes to `state`.
   *
   * @throws Error that names both states, if `state` may not follow the current one.
   */
  enter(state: ServerState): void {
    if (!next[this.#state].includes(state)) {
      throw new Error(`a server in state "${this.#state}" cannot go to "${state}"`);
    }
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state);
  }
}

/** A registration by which clients find a server, as the metrics page sees it. */
export interface CountedRegistration {
  /** The service as which the server is registered. */
  readonly service: string;
  readonly isRegistered: boolean;
}

/** The registrations of this process that have started and not stopped. */
export const registrations = new Set<CountedRegistration>();
