/** Messages that wait for the client, in bytes, above which the call should wait. */
const waitingBytes = 64 * 1024;

/** The messages of a request, as they are written, for one reader. */
export class RequestMessages<T> implements AsyncIterable<T> {
  readonly #waiting: { readonly message: T; readonly bytes: number }[] = [];
  readonly #drained: () => void;
  #bytes = 0;
  #isFull = false;
  #isEnded = false;
  #wake: (() => void) | undefined;

  /** @param drained called after `add` has returned false, when more can be added */
  constructor(drained: () => void) {
    this.#drained = drained;
  }

  /** @returns whether more can be added now */
  add(message: T, bytes: number): boolean {
    this.#waiting.push({ message, bytes });
    this.#bytes += bytes;
    this.#isFull ||= this.#bytes > waitingBytes;
    this.#wake?.();
    return !this.#isFull;
  }

  end(): void {
    this.#isEnded = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const next = this.#waiting.shift();
      if (next !== undefined) {
        this.#bytes -= next.bytes;
        if (this.#isFull && this.#bytes <= waitingBytes) {
          this.#isFull = false;
          this.#drained();
        }
        yield next.message;
      } else if (this.#isEnded) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
