import { toCallError, type ConnectError } from "../errors/errors.ts";
import { unavailableFor } from "../errors/retry-info.ts";
import { systemClock, type Clock } from "../time/clock.ts";

/** How many calls may be under way, and how many may wait. */
export interface ConcurrencyRules {
  /** Most calls under way. */
  readonly max: number;
  /** Most calls that wait for a place; 0 refuses at once. */
  readonly queue: number;
  /** The longest time that a call waits, in milliseconds. */
  readonly queueTimeoutMs: number;
}

/** Gives the place of a call back. Further calls do nothing. */
export type LeavePlace = () => void;

/** How long refused callers shall wait, in milliseconds. */
const retryMs = 1_000;

interface Waiting {
  readonly untilMs: number;
  readonly enter: () => void;
  readonly refuse: (error: ConnectError) => void;
}

/** A limit of calls under way with a queue, first come first served. */
export class Concurrency {
  readonly #name: string;
  readonly #rules: ConcurrencyRules;
  readonly #clock: Clock;
  readonly #queue = new Set<Waiting>();
  #running = 0;
  #cancelTimer: (() => void) | undefined;

  /** @param name the first word of errors */
  constructor(name: string, rules: ConcurrencyRules, clock: Clock = systemClock) {
    this.#name = name;
    this.#rules = rules;
    this.#clock = clock;
  }

  /** Calls under way. */
  get running(): number {
    return this.#running;
  }

  /** Calls that wait for a place. */
  get waiting(): number {
    return this.#queue.size;
  }

  /** Takes a place if one is free and no call waits for it. @returns undefined if none is */
  tryEnter(): LeavePlace | undefined {
    if (this.#running >= this.#rules.max || this.#queue.size > 0) return undefined;
    return this.#take();
  }

  /**
   * Takes a place, or waits for one.
   *
   * @param signal fires when the call ends before it has a place: at its deadline, or as its caller cancels it
   * @throws ConnectError UNAVAILABLE, with `google.rpc.RetryInfo`, if the queue is full or the call has waited for
   *   `queueTimeoutMs`; that of the signal if it fires
   */
  async enter(signal?: AbortSignal): Promise<LeavePlace> {
    if (signal?.aborted === true) throw toCallError(signal.reason);
    const place = this.tryEnter();
    if (place !== undefined) return place;
    if (this.#queue.size >= this.#rules.queue) throw this.#refusal();
    return this.#wait(signal);
  }

  #wait(signal: AbortSignal | undefined): Promise<LeavePlace> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.#queue.delete(waiting);
        signal?.removeEventListener("abort", aborted);
        if (this.#queue.size === 0) this.#stopTimer();
      };
      const waiting: Waiting = {
        untilMs: this.#clock.nowMs() + this.#rules.queueTimeoutMs,
        enter: () => {
          end();
          resolve(this.#take());
        },
        refuse: (error) => {
          end();
          reject(error);
        },
      };
      const aborted = (): void => waiting.refuse(toCallError(signal?.reason));
      signal?.addEventListener("abort", aborted);
      this.#queue.add(waiting);
      // All wait equally long, so that the first one is always the next whose time is over.
      if (this.#queue.size === 1) this.#watchFirst();
    });
  }

  #take(): LeavePlace {
    this.#running++;
    let isLeft = false;
    return () => {
      if (isLeft) return;
      isLeft = true;
      this.#running--;
      const [next] = this.#queue;
      next?.enter();
    };
  }

  #watchFirst(): void {
    this.#stopTimer();
    const [first] = this.#queue;
    if (first === undefined) return;
    const leftMs = Math.max(0, first.untilMs - this.#clock.nowMs());
    this.#cancelTimer = this.#clock.after(leftMs, () => {
      const nowMs = this.#clock.nowMs();
      const refusal = this.#refusal();
      for (const waiting of this.#queue) {
        if (waiting.untilMs > nowMs) break;
        waiting.refuse(refusal);
      }
      this.#watchFirst();
    });
  }

  #stopTimer(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #refusal(): ConnectError {
    const { size } = this.#queue;
    const text = `${this.#name}: ${this.#running} calls under way and ${size} waiting`;
    return unavailableFor(text, retryMs);
  }
}
