import type { Message } from "@bufbuild/protobuf";
import type { ReplyBatch } from "../../../../core/call/batches.ts";

/** Writes the replies of a call into an HTTP answer. Only `write` and `message` throw. */
export interface Answer<Payload = unknown> {
  /** Sends the head, if the answer can send it before the first message. */
  begin(): void;
  /** Encodes the next message, as part of the call. Throws for a message that cannot be encoded. */
  write(message: Message): Payload;
  /**
   * Sends the result of `write`. Returns undefined when another message can follow, else a promise to await. Rejects
   * when the client has disconnected; throws or rejects for a message beyond the limits of the answer.
   */
  message(payload: Payload): Promise<void> | undefined;
  /** Ends the answer of a successful call. */
  end(): Promise<void>;
  /** Ends the answer with an error: with its HTTP status if the head was not sent. */
  fail(reason: unknown): Promise<void>;
}

/** An answer that takes its messages in binary form, too. */
export interface ByteAnswer<Payload = unknown> extends Answer<Payload> {
  /** As `write`, for the next message of the batch and those that can be sent with it (`ReadReplies`). */
  read(batch: ReplyBatch): Payload;
}
