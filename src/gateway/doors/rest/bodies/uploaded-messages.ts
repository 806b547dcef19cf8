import type { IncomingMessage } from "node:http";
import type { Message } from "@bufbuild/protobuf";
import type { Exchange } from "../../../http/exchange.ts";
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

/**
 * Lets a client that waits for `100 Continue` send a body of any size: HTTP/1.1 connections answer 100 only to those whose
 * body is no larger than `maxBodyBytes`.
 */
export function allowLargeBody(raw: IncomingMessage, exchange: Exchange, maxBodyBytes: number): void {
  const { headers } = raw;
  if (headers.expect !== undefined && Number(headers["content-length"] ?? 0) > maxBodyBytes) {
    exchange.writeContinue();
  }
}
