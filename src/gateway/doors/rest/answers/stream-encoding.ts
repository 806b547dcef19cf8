import type { Message } from "@bufbuild/protobuf";
import type { ConnectError } from "../../../../core/errors/errors.ts";
import type { PieceFrame } from "../../../../core/codec/binary-to-json.ts";

/** Prints one message of a route as JSON text on one line. */
export type MessageText = (message: Message) => string;

/** Prints an error as `google.rpc.Status` in JSON text on one line. */
export type StatusText = (error: ConnectError) => string;

/** Metadata of a reply by the names under which the client may see it. */
export type Trailers = Readonly<Record<string, string>>;

/** What an answer depends on besides its route. */
export interface EncoderStart {
  /** Prints the messages of this answer. */
  readonly messageText: MessageText;
  /** `Last-Event-ID` of the request, for encodings that number their messages. */
  readonly lastEventId: string | undefined;
}

/** A way to write a stream of messages into one HTTP body; made once for a route. */
export interface StreamEncoding {
  /** The `Content-Type` of the answer, by which `Accept` asks for it. */
  readonly contentType: string;
  /** Further headers of the answer, names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Whether its text says that it is complete, so that it needs no framing (HTTP/1.0) to be told from a part. */
  readonly endsVisibly: boolean;
  /** Begins an answer. */
  begin(start: EncoderStart): StreamEncoder;
}

/** What stands around the JSON of the next messages. */
export interface MessageFrame extends PieceFrame {
  /** The next `count` messages were printed with it. */
  printed(count: number): void;
}

/** One answer: turns what happens into text, which leaves at once. */
export interface StreamEncoder {
  /** What stands before everything else; empty for nothing. */
  readonly opening: string;
  /** What keeps an idle connection open; undefined where the encoding has no such thing. */
  readonly heartbeat: string | undefined;
  /** What stands around the JSON of messages, where that does not depend on what is in them; undefined where it does. */
  readonly frame: MessageFrame | undefined;
  /** The text of the next message. Throws INTERNAL for a message that has no JSON. */
  message(message: Message): string;
  /** The end of a good stream. */
  end(trailers: Trailers): string;
  /** The end of a stream that failed after it had begun; undefined where only a cut connection can say so. */
  error(error: ConnectError): string | undefined;
  /** Whether `error` gives a text. */
  readonly saysErrors: boolean;
  /**
   * The end of a stream when the server stops, for encodings whose clients reopen their streams by themselves; undefined
   * for all others.
   */
  readonly stop: ((error: ConnectError) => string) | undefined;
}
