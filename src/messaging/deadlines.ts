import type { Clock } from "../core/time/clock.ts";

/** What is over at a time, unless it is removed before. `Deadlines` keeps it by these links. */
export abstract class Timed {
  /** By the clock of its `Deadlines`, in milliseconds. */
  dueMs = 0;
  /** Undefined for the first one, and for one that is not kept. */
  before: Timed | undefined;
  /** Undefined for the last one, and for one that is not kept. */
  behind: Timed | undefined;

  /** Its time is over. */
  abstract expired(): void;
}

/** Ends of waits that are equally long, by one timer for all of them: the first to begin is the first to be over. */
export class Deadlines {
  readonly #clock: Clock;
  readonly #ms: number;
  #first: Timed | undefined;
  #last: Timed | undefined;
  #cancelTimer: (() => void) | undefined;

  /** @param ms how long each wait is, in milliseconds */
  constructor(clock: Clock, ms: number) {
    this.#clock = clock;
    this.#ms = ms;
  }

  /** How long each wait is, in milliseconds. */
  get ms(): number {
    return this.#ms;
  }

  /** A wait begins. @param nowMs the time now */
  add(timed: Timed, nowMs: number): void {
    timed.dueMs = nowMs + this.#ms;
    timed.before = this.#last;
    if (this.#last === undefined) this.#first = timed;
    else this.#last.behind = timed;
    this.#last = timed;
    if (this.#cancelTimer === undefined) this.#arm(this.#ms);
  }

  /** A wait has ended. Does nothing for one that is not kept. */
  remove(timed: Timed): void {
    const { before, behind } = timed;
    if (before === undefined && this.#first !== timed) return;
    if (before === undefined) this.#first = behind;
    else before.behind = behind;
    if (behind === undefined) this.#last = before;
    else behind.before = before;
    timed.before = timed.behind = undefined;
    if (this.#first !== undefined) return;
    this.#cancelTimer?.(); // A timer keeps the process alive.
    this.#cancelTimer = undefined;
  }

  #arm(ms: number): void {
    this.#cancelTimer = this.#clock.after(ms, () => this.#pass());
  }

  #pass(): void {
    this.#cancelTimer = undefined;
    const nowMs = this.#clock.nowMs();
    for (let first = this.#first; first !== undefined && first.dueMs <= nowMs; first = this.#first) {
      this.remove(first);
      first.expired();
    }
    const next = this.#first;
    if (next !== undefined && this.#cancelTimer === undefined) this.#arm(Math.max(1, next.dueMs - nowMs));
  }
}
