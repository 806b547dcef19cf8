import type { Message } from "@bufbuild/protobuf";
import type { ConnectError } from "../../core/errors.ts";

/** Prints one message of a route as JSON text on one line. */
export type MessageText = (message: Message) => string;

/** Prints an error as `google.rpc.Status` in JSON text on one line. */
export type StatusText = (error: ConnectError) => string;

/** What the beginning of an answer depends on. */
export interface EncoderStart {
  /** Metadata that the client sent, for encodings that go on where it stopped. */
  readonly lastEventId: string | undefined;
  /** Prints messages; the same for the whole answer. */
  readonly messageText: MessageText;
}

/** A way to write a stream of messages into one HTTP body; compiled once for a route. */
export interface StreamEncoding {
  /** The `Content-Type` of the answer. */
  readonly contentType: string;
  /** Further headers of the answer, names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * Whether an answer whose end cannot be seen by its framing (HTTP/1.0) may be sent piece by piece: its last piece
   * says that it is the last.
   */
  readonly endsVisibly: boolean;
  /** Begins an answer. */
  begin(start: EncoderStart): StreamEncoder;
}

/** One answer: turns what happens into text. Each text leaves at once. */
export interface StreamEncoder {
  /** What stands before everything else; empty for nothing. */
  readonly opening: string;
  /** What keeps an idle connection open; undefined where the encoding has no such thing. */
  readonly heartbeat: string | undefined;
  /** The text of the next message. Throws INTERNAL for a message that has no JSON. */
  message(message: Message): string;
  /** The end of a good stream; `trailer` is what the service said last. */
  end(trailer: Headers | undefined): string;
  /** The end of a stream that failed after it had begun; undefined where only a cut connection says so. */
  error(error: ConnectError): string | undefined;
  /** The end of a stream whose client should come back to another server; undefined where streams go on. */
  leave?(error: ConnectError): string;
}
