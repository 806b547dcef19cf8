/** Messages that are sent as they come: one reader, many writers. */
export class RequestQueue<T> implements AsyncIterable<T> {
  readonly #messages: T[] = [];
  #wake: (() => void) | undefined;
  #isClosed = false;

  push(message: T): void {
    if (this.#isClosed) return;
    this.#messages.push(message);
    this.#wake?.();
  }

  close(): void {
    this.#isClosed = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    while (!this.#isClosed) {
      const message = this.#messages.shift();
      if (message !== undefined) yield message;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
