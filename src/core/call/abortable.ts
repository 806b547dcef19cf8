import { setImmediate as breathe } from "node:timers/promises";
import type { CallContext } from "./context.ts";

/** After so many items the event loop gets its turn: a source that never waits would let no timer and no socket run. */
const itemsPerBreath = 64;

/**
 * `source` for as long as its call lives: every wait for it ends when `context` is aborted, with the abort reason.
 *
 * When the call is aborted or the consumer leaves early, the source's `return()` is asked for but not waited for, since
 * the source may hang in a wait of its own. Without either, errors of the source pass as they are. The source is not
 * touched before the first `next()`.
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
      if (++this.#items % itemsPerBreath === 0) await breathe();
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
      else this.#leave();
      throw error;
    }
  }

  return(): Promise<IteratorResult<T, void>> {
    this.#leave();
    return Promise.resolve({ done: true, value: undefined });
  }

  throw(error: unknown): Promise<IteratorResult<T, void>> {
    this.#leave();
    return Promise.reject(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leave();
  }

  #leave(): void {
    if (this.#done) return;
    this.#done = true;
    try {
      this.#iterator?.return?.().then(undefined, nothing);
    } catch {
      // Nobody is left to hear of it.
    }
  }
}

function nothing(): void {}
