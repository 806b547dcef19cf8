/** A set that tells when it is empty: the calls of a server from their headers to their last byte. */
export class OpenCalls<T> implements Iterable<T> {
  readonly #calls = new Set<T>();
  #waiters: (() => void)[] = [];

  add(call: T): void {
    this.#calls.add(call);
  }

  delete(call: T): void {
    this.#calls.delete(call);
    if (this.#calls.size > 0 || this.#waiters.length === 0) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter();
  }

  /** Resolves when the set is empty. */
  idle(): Promise<void> {
    if (this.#calls.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#calls.values();
  }
}
