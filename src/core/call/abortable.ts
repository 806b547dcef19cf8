import { setImmediate as nextTurn } from "node:timers/promises";
import type { CallContext } from "./context.ts";

/**
 * After this many items the iterator yields to the event loop: a source that never waits would starve timers and
 * sockets.
 */
const itemsPerTurn = 64;

/**
 * Iterates over `source` while its call is active: a pending `next()` rejects with the abort reason when `context` is
 * aborted.
 *
 * When the call is aborted or the consumer ends the iteration early, `return()` of the source is called but not
 * awaited, since the source may be blocked in a wait of its own. Otherwise errors of the source are propagated
 * unchanged. The source is not opened before the first `next()`.
 */
export class Abortable<T> implements AsyncGenerator<T, void, undefined> {
  readonly #source: AsyncIterable<T>;
  readonly #context: CallContext;
  #iterator: AsyncIterator<T> | undefined;
  #items = 0;
  #done = false;

  constructor(source: AsyncIterable<T>, context: CallContext) {
    this.#source = source;
    this.#context = context;
  }

  async next(): Promise<IteratorResult<T, void>> {
    if (this.#done) return { done: true, value: undefined };
    const context = this.#context;
    try {
      if (++this.#items % itemsPerTurn === 0) await nextTurn();
      if (context.reason !== undefined) throw context.reason;
      this.#iterator ??= this.#source[Symbol.asyncIterator]();
      const result = await context.race(Promise.resolve(this.#iterator.next()));
      if (result.done === true) {
        this.#done = true;
        return { done: true, value: undefined };
      }
      return result;
    } catch (error) {
      if (context.reason === undefined) this.#done = true;
      else this.#close();
      throw error;
    }
  }

  return(): Promise<IteratorResult<T, void>> {
    this.#close();
    return Promise.resolve({ done: true, value: undefined });
  }

  throw(error: unknown): Promise<IteratorResult<T, void>> {
    this.#close();
    return Promise.reject(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#close();
  }

  #close(): void {
    if (this.#done) return;
    this.#done = true;
    try {
      this.#iterator?.return?.().then(undefined, nothing);
    } catch {
      // The iteration has ended: no consumer is waiting for this error.
    }
  }
}

function nothing(): void {}
