import type { Message } from "@bufbuild/protobuf";
import type { RequestMessages } from "./request-source.ts";

/** Messages that are made from the body of a request while a call takes them. It remembers what was wrong with them. */
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
