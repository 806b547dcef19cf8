import type { Message } from "@bufbuild/protobuf";
import type { RequestMessages } from "./request-source.ts";

/** Messages that are decoded from the body of a request while a call reads them; keeps the error of the body. */
export class UploadedMessages implements RequestMessages {
  failure: unknown;
  readonly #messages: AsyncIterable<Message> | Iterable<Message>;

  constructor(messages: AsyncIterable<Message> | Iterable<Message>) {
    this.#messages = messages;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Message, void, undefined> {
    try {
      for await (const message of this.#messages) yield message;
    } catch (reason) {
      this.failure = reason;
      throw reason;
    }
  }
}
