import type { Message } from "@bufbuild/protobuf";
import type { ConnectError } from "../../../../core/errors/errors.ts";
import type {
  EncoderStart,
  MessageFrame,
  MessageText,
  StatusText,
  StreamEncoder,
  StreamEncoding,
} from "./stream-encoding.ts";
import type { ArrayError } from "../../options/stream-options.ts";

/** One JSON array; each message is an element that is sent at once. */
export function jsonArray(statusText: StatusText, onError: ArrayError = "truncate"): StreamEncoding {
  return {
    contentType: "application/json",
    door: "rest",
    headers: { "x-accel-buffering": "no" },
    endsVisibly: false, // The bracket is visible, but clients read an array as a whole.
    begin: ({ messageText }: EncoderStart) => new ArrayEncoder(messageText, statusText, onError),
  };
}

class ArrayEncoder implements StreamEncoder {
  readonly opening = "[";
  readonly heartbeat = undefined;
  readonly place = undefined;
  readonly stop = undefined;
  readonly #messageText: MessageText;
  readonly #statusText: StatusText;
  readonly #onError: ArrayError;
  #separator = "";
  readonly frame: MessageFrame = {
    before: (index) => (index === 0 ? this.#separator : ","),
    after: "",
    printed: () => {
      this.#separator = ",";
    },
  };

  constructor(messageText: MessageText, statusText: StatusText, onError: ArrayError) {
    this.#messageText = messageText;
    this.#statusText = statusText;
    this.#onError = onError;
  }

  message(message: Message): string {
    const text = this.#separator + this.#messageText(message);
    this.#separator = ",";
    return text;
  }

  end(): string {
    return "]";
  }

  get reportsErrors(): boolean {
    return this.#onError === "element";
  }

  error(error: ConnectError): string | undefined {
    if (this.#onError === "truncate") return undefined;
    return `${this.#separator}{"error":${this.#statusText(error)}}]`;
  }
}
