import type { Clock } from "../time/clock.ts";
import type { Verdict } from "./endpoint-load.ts";

/**
 * When endpoints that fail are ejected: they get no calls for a time. Failures are UNAVAILABLE from the server, lost
 * connections, and deadlines that pass after 1 s at least, but not those of streams that were answered.
 */
export interface OutlierOptions {
  /** Failures in a row. Default: 5. */
  readonly consecutiveFailures: number;
  /** The share of failures in the calls of an interval, 0 to 1. Default: 0.85. */
  readonly failureRatio: number;
  /** How many calls an interval must have for that. Default: 50. */
  readonly minCalls: number;
  /** How long an interval is, in milliseconds. Default: 10,000. */
  readonly intervalMs: number;
  /** Time of the first ejection, in milliseconds; the second one lasts twice as long, and so on. Default: 30,000. */
  readonly baseMs: number;
  /** The longest ejection, in milliseconds. Default: 300,000. */
  readonly maxMs: number;
  /** The most endpoints that are ejected at the same time, in percent of all of them. Default: 50. */
  readonly maxEjectionPercent: number;
  /** Time in which an endpoint that is back gets its whole share of the calls again, in milliseconds. Default: 10,000. */
  readonly returnMs: number;
}

/** The defaults of `OutlierOptions`. */
export const outlierDefaults: OutlierOptions = Object.freeze({
  consecutiveFailures: 5,
  failureRatio: 0.85,
  minCalls: 50,
  intervalMs: 10_000,
  baseMs: 30_000,
  maxMs: 300_000,
  maxEjectionPercent: 50,
  returnMs: 10_000,
});

/** Why an endpoint was ejected. */
export type EjectionReason = "consecutive_failures" | "failure_ratio";

/** What decides about ejections. */
export interface EjectionHost<E> {
  /** Whether one more endpoint may be ejected: not the only one that gets calls, and not above the percentage. */
  mayEject(endpoint: E, maxPercent: number): boolean;
  /** An endpoint is ejected. */
  ejected(endpoint: E, reason: EjectionReason): void;
  /** Its ejection is over. */
  returned(endpoint: E): void;
}

/** The failures of one endpoint, and its ejections. */
export class OutageRecord<E = unknown> {
  readonly #endpoint: E;
  readonly #options: OutlierOptions;
  readonly #clock: Clock;
  readonly #host: EjectionHost<E>;
  #inRow = 0;
  /** Of the interval that began at `#beganMs`. */
  #calls = 0;
  #failures = 0;
  #beganMs = Number.NEGATIVE_INFINITY;
  /** Ejections so far; one less for every good interval. */
  #ejections = 0;
  /** When it came back last. */
  #returnedMs = 0;
  /** The end of its ejection; undefined without one. */
  #untilMs: number | undefined;
  #cancel: (() => void) | undefined;

  constructor(endpoint: E, options: OutlierOptions, clock: Clock, host: EjectionHost<E>) {
    this.#endpoint = endpoint;
    this.#options = options;
    this.#clock = clock;
    this.#host = host;
  }

  get isEjected(): boolean {
    return this.#untilMs !== undefined;
  }

  /** Time until the end of its ejection, in milliseconds; 0 without one. */
  ejectedForMs(nowMs: number): number {
    return this.#untilMs === undefined ? 0 : Math.max(0, this.#untilMs - nowMs);
  }

  /** An attempt is over. Every answer is a success here, except UNAVAILABLE. */
  count(verdict: Verdict, nowMs: number): void {
    if (verdict === "nothing") return;
    if (nowMs - this.#beganMs >= this.#options.intervalMs) {
      this.#beganMs = nowMs;
      this.#calls = this.#failures = 0;
    }
    this.#calls++;
    if (verdict !== "outage") {
      this.#inRow = 0;
      return;
    }
    this.#inRow++;
    this.#failures++;
    const reason = this.#reason;
    if (reason !== undefined && !this.isEjected) this.#eject(reason, nowMs);
  }

  /** The endpoint is gone. */
  close(): void {
    this.#cancel?.();
    this.#cancel = this.#untilMs = undefined;
  }

  get #reason(): EjectionReason | undefined {
    const { consecutiveFailures, failureRatio, minCalls } = this.#options;
    if (this.#inRow >= consecutiveFailures) return "consecutive_failures";
    const isAbove = this.#calls >= minCalls && this.#failures >= failureRatio * this.#calls;
    return isAbove ? "failure_ratio" : undefined;
  }

  #eject(reason: EjectionReason, nowMs: number): void {
    const { baseMs, maxMs, intervalMs, maxEjectionPercent } = this.#options;
    if (!this.#host.mayEject(this.#endpoint, maxEjectionPercent)) return;
    const goodIntervals = Math.floor((nowMs - this.#returnedMs) / intervalMs);
    this.#ejections = Math.max(0, this.#ejections - goodIntervals) + 1;
    const forMs = Math.min(baseMs * this.#ejections, maxMs);
    this.#untilMs = nowMs + forMs;
    this.#cancel = this.#clock.after(forMs, () => this.#return(), false);
    this.#host.ejected(this.#endpoint, reason);
  }

  #return(): void {
    this.#returnedMs = this.#clock.nowMs();
    this.#cancel = this.#untilMs = undefined;
    this.#inRow = this.#calls = this.#failures = 0;
    this.#host.returned(this.#endpoint);
  }
}
