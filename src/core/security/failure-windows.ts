import { refusal } from "../admission/refusal.ts";
import { Code, type ConnectError } from "../errors/errors.ts";
import { retryInfo } from "../errors/retry-info.ts";
import { networkOf } from "../net/client-network.ts";
import type { Clock } from "../time/clock.ts";

/** How many bad credentials are looked at. */
export interface FailureLimit {
  /** Bad credentials of one client address, and presentations of one bad credential, in a window. Default: 20. */
  readonly count: number;
  /** Length of a window, which begins with the first failure, in milliseconds. Default: 60,000. */
  readonly windowMs: number;
}

/** Defaults of `FailureLimit`. */
export const failureLimitDefaults: FailureLimit = Object.freeze({ count: 20, windowMs: 60_000 });

interface Window {
  count: number;
  readonly endMs: number;
}

/** Addresses and credentials whose failures are counted at a time. */
const maxWindows = 100_000;

/** Counts bad credentials, so that guessing ends before any further one is verified. */
export class FailureWindows {
  readonly #limit: FailureLimit;
  readonly #clock: Clock;
  readonly #windows = new Map<string, Window>();

  constructor(limit: FailureLimit, clock: Clock) {
    this.#limit = limit;
    this.#clock = clock;
  }

  /** Counts a bad credential of an address. @param digest of the credential; undefined for one that cannot be read */
  count(ip: string, digest: string | undefined): void {
    if (ip !== "") this.#add(`ip ${networkOf(ip)}`);
    if (digest !== undefined) this.#add(digest);
  }

  /** RESOURCE_EXHAUSTED if there were too many from this address or of this credential, else undefined. */
  refuse(ip: string, digest: string): ConnectError | undefined {
    if (this.#windows.size === 0) return undefined;
    const endMs = (ip === "" ? undefined : this.#fullUntil(`ip ${networkOf(ip)}`)) ?? this.#fullUntil(digest);
    if (endMs === undefined) return undefined;
    return refusal({
      kind: "rate_limited",
      code: Code.ResourceExhausted,
      reason: "AUTHENTICATION_FAILURES_EXCEEDED",
      message: "too many bad credentials came from this client; try again later",
      details: [retryInfo(endMs - this.#clock.nowMs())],
    });
  }

  #add(key: string): void {
    const nowMs = this.#clock.nowMs();
    const window = this.#windows.get(key);
    if (window !== undefined && nowMs < window.endMs) {
      window.count++;
      return;
    }
    this.#windows.delete(key); // The order of the map is that of the windows' ends.
    this.#makeRoom(nowMs);
    this.#windows.set(key, { count: 1, endMs: nowMs + this.#limit.windowMs });
  }

  /** Windows that have ended go first, and the oldest if there are too many. */
  #makeRoom(nowMs: number): void {
    for (const [key, { endMs }] of this.#windows) {
      if (nowMs < endMs && this.#windows.size < maxWindows) return;
      this.#windows.delete(key);
    }
  }

  #fullUntil(key: string): number | undefined {
    const window = this.#windows.get(key);
    if (window === undefined || window.count < this.#limit.count) return undefined;
    return this.#clock.nowMs() < window.endMs ? window.endMs : undefined;
  }
}
