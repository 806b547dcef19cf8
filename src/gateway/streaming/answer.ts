import type { Message } from "@bufbuild/protobuf";

/** What becomes of the messages of a call: where its story ends. Nothing here throws but `message`. */
export interface Answer {
  /** Sends the head, where that can be done before the first message. */
  begin(): void;
  /**
   * Takes the next message. Undefined when there is room for another one, else a promise to wait for. Rejects when
   * nobody takes messages any more, or the message cannot be written.
   */
  message(message: Message): Promise<void> | undefined;
  /** Ends the answer well. */
  end(): Promise<void>;
  /** Ends the answer with an error: by a status of its own as long as nothing was sent. */
  fail(reason: unknown): Promise<void>;
}
