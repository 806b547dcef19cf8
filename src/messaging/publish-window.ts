import { ConnectError, toCallError } from "../core/errors/errors.ts";
import { unavailableFor } from "../core/errors/retry-info.ts";
import { endedCode, sentText } from "./publish-outcome.ts";
import type { WaitEnd, WaitListener } from "./wait.ts";

/** How much may be under way. */
export interface WindowBounds {
  /** Most messages that are sent and not confirmed. */
  readonly maxInFlight: number;
  /** The same in bytes; a larger message goes alone. */
  readonly maxInFlightBytes: number;
  /** Most messages that wait for a place. */
  readonly maxWaiting: number;
}

/** How much is under way, of any number of windows. */
export interface WindowGauge {
  inFlight: number;
  waiting: number;
}

/** A message that waits for its place, or has left the queue. */
interface Waiter {
  readonly bytes: number;
  /** Undefined once it has begun, or has given up. */
  begin: (() => void) | undefined;
}

/** When a caller that found the queue full shall come again, in milliseconds. */
const retryAfterMs = 1_000;
/** How many places of waiters that have left are kept. */
const spareWaiters = 1_000;

/**
 * Bounds what is under way. What finds no place waits, and begins in the order in which it came: a small message does
 * not overtake a large one.
 */
export class PublishWindow {
  readonly #bounds: WindowBounds;
  readonly #gauge: WindowGauge;
  #queue: Waiter[] = [];
  /** Place of the first waiter. */
  #head = 0;
  #waiting = 0;
  #inFlight = 0;
  #bytes = 0;

  /** @param gauge is kept up to date with what is under way, together with that of others */
  constructor(bounds: WindowBounds, gauge: WindowGauge = { inFlight: 0, waiting: 0 }) {
    this.#bounds = bounds;
    this.#gauge = gauge;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** How many messages can still be given to `run` without being refused. */
  get room(): number {
    const { maxInFlight, maxWaiting } = this.#bounds;
    return Math.max(0, maxInFlight - this.#inFlight) + maxWaiting - this.#waiting;
  }

  /**
   * Runs `send` as soon as there is a place, at once where there is one, and gives its outcome.
   *
   * @param bytes what the message counts
   * @param end takes a message out that still waits
   * @throws ConnectError UNAVAILABLE with RetryInfo if too many wait; the reason of `end` with the text `not sent`
   */
  run<T>(bytes: number, end: WaitEnd, send: () => Promise<T>): Promise<T> {
    if (end.aborted) return Promise.reject(notSent(end.reason));
    if (this.enter(bytes, end)) return this.#entered(bytes, send);
    if (this.#waiting >= this.#bounds.maxWaiting) return Promise.reject(this.refusal());
    return new Promise((resolve, reject) => {
      const giveUp: WaitListener = {
        handleEvent: () => {
          end.removeEventListener("abort", giveUp);
          waiter.begin = undefined;
          this.#waiting--;
          this.#gauge.waiting--;
          reject(notSent(end.reason));
          this.#next(); // What is behind a large message may fit.
          if (this.#queue.length > 2 * this.#waiting + spareWaiters) this.#compact();
        },
      };
      const waiter: Waiter = {
        bytes,
        begin: () => {
          end.removeEventListener("abort", giveUp);
          this.#take(bytes);
          this.#entered(bytes, send).then(resolve, reject);
        },
      };
      end.addEventListener("abort", giveUp);
      this.#queue.push(waiter);
      this.#waiting++;
      this.#gauge.waiting++;
    });
  }

  /**
   * Takes a place at once. What it is taken for must call `leave` at its end; `run` does all that, and waits.
   *
   * @returns whether there was one
   */
  enter(bytes: number, end: WaitEnd): boolean {
    if (end.aborted || this.#waiting > 0 || !this.#fits(bytes)) return false;
    this.#take(bytes);
    return true;
  }

  /** Gives back a place that `enter` has taken. */
  leave(bytes: number): void {
    this.#inFlight--;
    this.#gauge.inFlight--;
    this.#bytes -= bytes;
    if (this.#waiting > 0) this.#next();
  }

  /** What a caller gets for whom there is no room. */
  refusal(): ConnectError {
    return unavailableFor(
      `not sent: ${this.#inFlight} messages are not confirmed, and ${this.#waiting} wait behind them`,
      retryAfterMs,
    );
  }

  #fits(bytes: number): boolean {
    if (this.#inFlight === 0) return true;
    const { maxInFlight, maxInFlightBytes } = this.#bounds;
    return this.#inFlight < maxInFlight && this.#bytes + bytes <= maxInFlightBytes;
  }

  #take(bytes: number): void {
    this.#inFlight++;
    this.#gauge.inFlight++;
    this.#bytes += bytes;
  }

  async #entered<T>(bytes: number, send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } finally {
      this.leave(bytes);
    }
  }

  #next(): void {
    while (this.#head < this.#queue.length) {
      const waiter = this.#queue[this.#head];
      if (waiter?.begin !== undefined && !this.#fits(waiter.bytes)) break;
      this.#head++;
      const begin = waiter?.begin;
      if (waiter === undefined || begin === undefined) continue;
      waiter.begin = undefined;
      this.#waiting--;
      this.#gauge.waiting--;
      begin();
    }
    if (this.#head > spareWaiters || this.#head === this.#queue.length) this.#compact();
  }

  /** Gives back the places of those that have begun or given up. */
  #compact(): void {
    this.#queue = this.#queue.slice(this.#head).filter(({ begin }) => begin !== undefined);
    this.#head = 0;
  }
}

function notSent(reason: unknown): ConnectError {
  const text = `${sentText(false, "")}: ${toCallError(reason).rawMessage}`;
  return new ConnectError(text, endedCode(reason), undefined, undefined, reason);
}
