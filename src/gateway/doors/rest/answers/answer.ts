import type { Message } from "@bufbuild/protobuf";
import type { ReplyBatch } from "../../../../core/call/batches.ts";

/** What becomes of the messages of a call: the end of its way. Nothing here throws but `message`. */
export interface Answer<Payload = unknown> {
  /** Sends the head, where that can be done before the first message. */
  begin(): void;
  /** Makes what is sent of the next message, as part of the call. Throws for a message that cannot be written. */
  write(message: Message): Payload;
  /**
   * Sends what `write` made. Undefined when there is room for another message, else a promise to wait for. Rejects when
   * nobody takes messages any more, throws or rejects where the message goes beyond what the answer may hold.
   */
  message(payload: Payload): Promise<void> | undefined;
  /** Ends the answer well. */
  end(): Promise<void>;
  /** Ends the answer with an error: by a status of its own as long as nothing was sent. */
  fail(reason: unknown): Promise<void>;
}

/** An answer that takes its messages in binary form, too. */
export interface ByteAnswer<Payload = unknown> extends Answer<Payload> {
  /** As `write`, for the next message of the batch and those that can be sent with it (`ReadReplies`). */
  read(batch: ReplyBatch): Payload;
}
