/** A command that is not answered yet. */
export interface Pending {
  readonly untilMs: number;
  readonly fail: (error: Error) => void;
  /** Whether it was answered, or has failed. */
  isSettled: boolean;
}

/** Settled commands at the front of the list are dropped once there are so many. */
const mostSettled = 1_024;

/**
 * Commands under way, the oldest first. Redis answers in order, so that almost always the first one is settled: a list with
 * a place where it begins costs less than a `Set`, which V8 makes anew again and again.
 */
export class PendingCommands {
  readonly #list: Pending[] = [];
  /** Those before it are settled. */
  #start = 0;

  /** The oldest one. */
  get first(): Pending | undefined {
    return this.#list[this.#start];
  }

  add(pending: Pending): void {
    this.#list.push(pending);
  }

  /** @returns whether it was under way until now */
  settle(pending: Pending): boolean {
    if (pending.isSettled) return false;
    pending.isSettled = true;
    while (this.#list[this.#start]?.isSettled === true) this.#start++;
    if (this.#start === this.#list.length || this.#start > mostSettled) {
      this.#list.splice(0, this.#start);
      this.#start = 0;
    }
    return true;
  }

  /** Takes out all that are under way: they are settled. */
  takeAll(): readonly Pending[] {
    const all = this.#list.splice(0).filter(({ isSettled }) => !isSettled);
    this.#start = 0;
    for (const one of all) one.isSettled = true;
    return all;
  }
}
