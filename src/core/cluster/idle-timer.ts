import type { Clock } from "../time/clock.ts";

/** What an `IdleTimer` watches. */
export interface IdleListener {
  /** Whether calls are under way or wait. */
  isBusy(): boolean;
  /** Nothing was used for the whole time; the timer has ended. */
  idle(): void;
  /** A period is over without that. */
  sweep(): void;
}

/** The longest delay of a timer, in milliseconds. */
const mostMs = 2 ** 31 - 1;

/** Finds out that a client has made no call for some time. It does not keep the process. */
export class IdleTimer {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #listener: IdleListener;
  #usedMs = 0;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, timeoutMs: number, listener: IdleListener) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#listener = listener;
  }

  /** A call is made. */
  used(nowMs: number): void {
    this.#usedMs = nowMs;
  }

  start(): void {
    this.#usedMs = this.#clock.nowMs();
    this.#arm(this.#timeoutMs);
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #arm(afterMs: number): void {
    this.#cancel = this.#clock.after(Math.min(afterMs, mostMs), () => this.#check(), false);
  }

  #check(): void {
    const leftMs = this.#usedMs + this.#timeoutMs - this.#clock.nowMs();
    if (leftMs <= 0 && !this.#listener.isBusy()) {
      this.#listener.idle();
      return;
    }
    this.#listener.sweep();
    this.#arm(leftMs > 0 ? leftMs : this.#timeoutMs);
  }
}
