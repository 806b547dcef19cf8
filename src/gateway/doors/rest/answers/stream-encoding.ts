import type { Message } from "@bufbuild/protobuf";
import type { ConnectError } from "../../../../core/errors/errors.ts";
import type { PieceFrame } from "../../../../core/codec/binary-to-json.ts";
import type { SharedBytes } from "../../../../core/wire/shared-bytes.ts";

/** Prints one message of a route as JSON text on one line. */
export type MessageText = (message: Message) => string;

/** Prints an error as `google.rpc.Status` in JSON text on one line. */
export type StatusText = (error: ConnectError) => string;

/** Metadata of a reply by the names that are sent to the client. */
export type Trailers = Readonly<Record<string, string>>;

/** The parts of an answer that depend on its request. */
export interface EncoderStart {
  /** Prints the messages of this answer. */
  readonly messageText: MessageText;
  /** `Last-Event-ID` of the request, for encodings that number their messages. */
  readonly lastEventId: string | undefined;
}

/** The encoding of a stream of messages in one HTTP body; compiled once for a route. */
export interface StreamEncoding {
  /** The `Content-Type` of the answer, by which `Accept` selects it. */
  readonly contentType: string;
  /** How policies, limits and logs name calls with such answers. */
  readonly door: "rest" | "sse" | "ndjson";
  /** Further headers of the answer, names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * Whether its text marks the end of a complete stream, so that clients detect a truncated one even without framing
   * (HTTP/1.0).
   */
  readonly endsVisibly: boolean;
  /** Begins an answer. */
  begin(start: EncoderStart): StreamEncoder;
}

/** The texts around the JSON of the next messages. */
export interface MessageFrame extends PieceFrame {
  /** The next `count` messages were printed with it. */
  printed(count: number): void;
}

/** The texts of an encoding whose clients keep positions. */
export interface PlaceText {
  /** Behind `opening`: where the stream begins. @param resets JSON texts of what is missing before */
  begin(position: string, resets: readonly string[]): string;
  /** In place of the heartbeat. */
  heartbeat(position: string): string;
}

/** Encodes one answer; each text is sent at once. */
export interface StreamEncoder {
  /** The text before the first message; empty for none. */
  readonly opening: string;
  /** The text that keeps an idle connection open; undefined if the encoding has none. */
  readonly heartbeat: string | undefined;
  /** Says without a message where the stream stands; undefined for encodings whose clients keep no position. */
  readonly place: PlaceText | undefined;
  /** The texts around the JSON of messages. */
  readonly frame: MessageFrame;
  /** The text of the next message. Throws INTERNAL for a message without a JSON form. */
  message(message: Message): string;
  /** The same in bytes, of a message whose text is the same for many answers; undefined for any other. Default: none. */
  shared?(message: Message): SharedBytes | undefined;
  /** The end of a successful stream. */
  end(trailers: Trailers): string;
  /** The end of a stream that failed after it had begun; undefined if only closing the connection can report that. */
  error(error: ConnectError): string | undefined;
  /** Whether `error` returns a text. */
  readonly reportsErrors: boolean;
  /**
   * The end of a stream when the server stops, for encodings whose clients reopen their streams by themselves;
   * undefined for all others.
   */
  readonly stop: ((error: ConnectError) => string) | undefined;
}
