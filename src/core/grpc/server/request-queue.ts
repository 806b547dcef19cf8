import type { Message } from "@bufbuild/protobuf";
import type { ConnectError } from "../../errors/errors.ts";

interface Waiter {
  readonly resolve: (result: IteratorResult<Message, void>) => void;
  readonly reject: (reason: ConnectError) => void;
}

const done: IteratorResult<Message, void> = { done: true, value: undefined };

/**
 * The messages that a client sends, read one by one on demand: nothing is read ahead, so that a slow handler causes
 * back-pressure.
 */
export class RequestQueue implements AsyncIterableIterator<Message, void, undefined> {
  readonly #pull: () => void;
  readonly #waiters: Waiter[] = [];
  #end: { readonly error: ConnectError | undefined } | undefined;

  /** @param pull Requests one message: `push` or `end` follows. */
  constructor(pull: () => void) {
    this.#pull = pull;
  }

  push(message: Message): void {
    this.#waiters.shift()?.resolve({ done: false, value: message });
    if (this.#waiters.length > 0) this.#pull();
  }

  /** Ends the queue; with an error, pending and later `next()` reject with it. */
  end(error?: ConnectError): void {
    if (this.#end !== undefined) return;
    this.#end = { error };
    for (const waiter of this.#waiters.splice(0)) {
      if (error === undefined) waiter.resolve(done);
      else waiter.reject(error);
    }
  }

  next(): Promise<IteratorResult<Message, void>> {
    if (this.#end !== undefined) {
      return this.#end.error === undefined ? Promise.resolve(done) : Promise.reject(this.#end.error);
    }
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      if (this.#waiters.length === 1) this.#pull();
    });
  }

  return(): Promise<IteratorResult<Message, void>> {
    this.end();
    return Promise.resolve(done);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
