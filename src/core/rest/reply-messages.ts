import type { Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "../errors/errors.ts";
import type { CallSignal } from "./call-signal.ts";

/** The replies of one streaming call as its caller reads them; `return()` aborts the request. */
export class ReplyMessages implements AsyncIterableIterator<Message, void, undefined> {
  readonly #source: AsyncIterator<Message>;
  readonly #call: CallSignal;
  #isEnded = false;

  constructor(messages: AsyncIterable<Message>, call: CallSignal) {
    this.#source = messages[Symbol.asyncIterator]();
    this.#call = call;
  }

  async next(): Promise<IteratorResult<Message, void>> {
    if (this.#isEnded) return { done: true, value: undefined };
    try {
      const result = await this.#call.race(this.#source.next());
      if (result.done !== true) return result;
      this.#end();
      return { done: true, value: undefined };
    } catch (reason) {
      const error = this.#call.error(reason);
      this.#call.abort(error);
      this.#end();
      throw error;
    }
  }

  async return(): Promise<IteratorResult<Message, void>> {
    if (!this.#isEnded) {
      this.#call.abort(new ConnectError("the caller cancelled the call", Code.Canceled));
      this.#end();
      this.#source.return?.().catch(() => {});
    }
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #end(): void {
    this.#isEnded = true;
    this.#call.abort(new ConnectError("the call has ended", Code.Canceled)); // For requests that are still sent.
    this.#call.end();
  }
}
