import type { Message } from "@bufbuild/protobuf";

/** The request messages of one call, one by one or in batches. */
export interface RequestMessages<Messages = Message> extends AsyncIterable<Messages> {
  /** What was wrong with the request, if that is why the messages ended. */
  readonly failure: unknown;
  /** How many messages were read. */
  readonly count: number;
}

/** Messages that are decoded from the body of a request while a call reads them; keeps the error of the body. */
export class UploadedMessages<Messages = Message> implements RequestMessages<Messages> {
  failure: unknown;
  count = 0;
  readonly #messages: AsyncIterable<Messages> | Iterable<Messages>;

  constructor(messages: AsyncIterable<Messages> | Iterable<Messages>) {
    this.#messages = messages;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Messages, void, undefined> {
    try {
      for await (const message of this.#messages) {
        this.count += Array.isArray(message) ? message.length : 1;
        yield message;
      }
    } catch (reason) {
      this.failure = reason;
      throw reason;
    }
  }
}
