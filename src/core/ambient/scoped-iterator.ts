/** Runs a function in some scope. */
export type RunInScope = <T>(fn: () => T) => T;

/** Iterates over `source`, each step of which runs in a scope: it may be asked for from anywhere. */
export class ScopedIterator<T> implements AsyncGenerator<T, void, undefined> {
  readonly #source: AsyncIterable<T>;
  readonly #run: RunInScope;
  #iterator: AsyncIterator<T> | undefined;

  constructor(source: AsyncIterable<T>, run: RunInScope) {
    this.#source = source;
    this.#run = run;
  }

  next(): Promise<IteratorResult<T, void>> {
    return this.#run(() => {
      this.#iterator ??= this.#source[Symbol.asyncIterator]();
      return this.#iterator.next();
    });
  }

  async return(): Promise<IteratorResult<T, void>> {
    await this.#run(() => this.#iterator?.return?.());
    return { done: true, value: undefined };
  }

  async throw(error: unknown): Promise<IteratorResult<T, void>> {
    await this.return();
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}
