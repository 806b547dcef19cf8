/** Room for messages. */
export interface Size {
  readonly messages: number;
  readonly bytes: number;
}

/** What waits for room. */
interface Waiter {
  readonly size: () => Size;
  readonly enter: () => void;
}

/**
 * How many messages a broker holds: what finds no room waits, in the order in which it came. A message is let in although
 * it alone is larger than the room where nothing else is held.
 */
export class MemorySpace {
  readonly #limit: Size;
  #messages = 0;
  #bytes = 0;
  readonly #waiters: Waiter[] = [];

  constructor(limit: Size) {
    this.#limit = limit;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiters.length;
  }

  /** What is held. */
  get held(): Size {
    return { messages: this.#messages, bytes: this.#bytes };
  }

  /**
   * Calls `enter`, which takes what it needs by `take`, as soon as there is room: at once where there is, and where
   * nothing waits.
   *
   * @param size is asked again whenever there may be room
   * @returns a function by which it waits no longer; undefined if it has not waited
   */
  enter(size: () => Size, enter: () => void): (() => void) | undefined {
    if (this.#waiters.length === 0 && this.#fits(size())) {
      enter();
      return undefined;
    }
    const waiter = { size, enter };
    this.#waiters.push(waiter);
    return () => {
      const at = this.#waiters.indexOf(waiter);
      if (at < 0) return;
      this.#waiters.splice(at, 1);
      this.#letIn(); // What came after it may be smaller.
    };
  }

  /** Takes room, even where there is none: for what takes the place of something that is held. */
  take(bytes: number): void {
    this.#messages++;
    this.#bytes += bytes;
  }

  /** Gives room back. */
  free(bytes: number): void {
    this.#messages--;
    this.#bytes -= bytes;
    this.#letIn();
  }

  #letIn(): void {
    for (
      let first = this.#waiters[0];
      first !== undefined && this.#fits(first.size());
      first = this.#waiters[0]
    ) {
      this.#waiters.shift();
      first.enter();
    }
  }

  #fits({ messages, bytes }: Size): boolean {
    if (this.#messages === 0) return true;
    return this.#messages + messages <= this.#limit.messages && this.#bytes + bytes <= this.#limit.bytes;
  }
}
