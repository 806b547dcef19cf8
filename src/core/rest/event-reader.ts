import { badReply } from "./rest-error.ts";
import { tooLarge } from "./pieces.ts";

/** One event of an event stream. */
export interface StreamEvent {
  /** `message`, or what the server calls it. */
  readonly event: string;
  readonly data: string;
}

/** Reads Server-Sent Events (WHATWG HTML, section 9.2.6) as they arrive. */
export class EventReader {
  readonly #maxBytes: number;
  readonly #decoder = new TextDecoder();
  /** The parts of a line that has no end yet. */
  #line: string[] = [];
  #size = 0;
  #afterReturn = false;
  #event = "";
  #data: string[] = [];

  /** @param maxBytes of the data of one event */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * The events that are complete with these bytes.
   *
   * @throws ConnectError RESOURCE_EXHAUSTED after them, if the next one gets too large
   */
  *push(chunk: Uint8Array): Iterable<StreamEvent> {
    let text = this.#decoder.decode(chunk, { stream: true });
    if (this.#afterReturn && text.startsWith("\n")) text = text.slice(1);
    if (text !== "") this.#afterReturn = text.endsWith("\r");
    const lines = text.split(/\r\n|\r|\n/);
    for (const [index, part] of lines.entries()) {
      this.#size += part.length;
      if (this.#size > this.#maxBytes + 64) throw tooLarge("the server's message", this.#maxBytes);
      this.#line.push(part);
      if (index === lines.length - 1) break;
      const event = this.#field(this.#line.join(""));
      this.#line = [];
      if (event !== undefined) yield event;
    }
  }

  /** @throws ConnectError INTERNAL if the stream ended inside an event */
  finish(): void {
    if (this.#data.length > 0 || this.#line.some((part) => part !== ""))
      throw badReply("ends inside an event");
  }

  /** Takes a line; gives the event that an empty one ends. */
  #field(line: string): StreamEvent | undefined {
    if (line === "") {
      const event = { event: this.#event || "message", data: this.#data.join("\n") };
      const isEmpty = this.#data.length === 0;
      this.#data = [];
      this.#event = "";
      this.#size = 0;
      return isEmpty ? undefined : event;
    }
    const colon = line.indexOf(":");
    const name = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.#data.push(value);
    else {
      this.#size -= line.length; // Comments of a heartbeat, ids and times are no part of the data.
      if (name === "event") this.#event = value;
    }
    return undefined;
  }
}
