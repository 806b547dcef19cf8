/** Bytes of requests that all calls of one target may keep for further attempts. */
const targetBytes = 16 * 1024 * 1024;

/** The memory that the calls of one target share for requests that may be sent again. */
export class ReplayMemory {
  readonly #maxBytes: number;
  #usedBytes = 0;

  /** @param maxBytes default: 16 MiB */
  constructor(maxBytes: number = targetBytes) {
    this.#maxBytes = maxBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Reserves memory. @returns false, with nothing reserved, if there is not enough */
  take(bytes: number): boolean {
    if (this.#usedBytes + bytes > this.#maxBytes) return false;
    this.#usedBytes += bytes;
    return true;
  }

  /** Gives memory back. */
  give(bytes: number): void {
    this.#usedBytes -= bytes;
  }
}

/**
 * The request messages of one call that a further attempt would send again. Once they are more than their limit, or the
 * call is committed to its attempt, they are let go: the attempt at hand is the last one.
 */
export class ReplayBuffer {
  readonly #maxBytes: number;
  readonly #memory: ReplayMemory;
  #messages: Uint8Array[] = [];
  #bytes = 0;
  #isWhole = true;

  /** @param maxBytes of this call */
  constructor(maxBytes: number, memory: ReplayMemory) {
    this.#maxBytes = maxBytes;
    this.#memory = memory;
  }

  /** Whether it has all messages of the call so far. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** The messages so far, in their order; none once the buffer is released. */
  get messages(): readonly Uint8Array[] {
    return this.#messages;
  }

  /** A message is sent. */
  keep(message: Uint8Array): void {
    if (!this.#isWhole) return;
    const { length } = message;
    if (this.#bytes + length > this.#maxBytes || !this.#memory.take(length)) {
      this.release();
      return;
    }
    this.#bytes += length;
    this.#messages.push(message);
  }

  /** Lets all messages go. */
  release(): void {
    this.#isWhole = false;
    this.#messages = [];
    this.#memory.give(this.#bytes);
    this.#bytes = 0;
  }
}
