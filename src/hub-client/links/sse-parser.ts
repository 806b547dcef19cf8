/** A block of an event stream: an event, an id alone, or the time to wait before the next attempt. */
export interface SseBlock {
  /** Of the event; undefined for a block without data. */
  readonly data: string | undefined;
  /** What the server calls the event; `message` if it does not. */
  readonly event: string;
  readonly id: string | undefined;
  /** In milliseconds. */
  readonly retry: number | undefined;
}

/** Reads Server-Sent Events (WHATWG HTML, section 9.2.6), blocks without data too: their ids are positions. */
export class SseParser {
  readonly #decoder = new TextDecoder();
  #rest = "";
  #data: string[] = [];
  #event = "";
  #id: string | undefined;
  #retry: number | undefined;

  /** The blocks that are complete with these bytes. */
  *push(chunk: Uint8Array): Iterable<SseBlock> {
    const text = this.#rest + this.#decoder.decode(chunk, { stream: true });
    const lines = text.split(/\r\n|\n|\r(?!$)/); // A return at the end may be half of an end of line.
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line !== "") this.#take(line);
      else if (this.#data.length > 0 || this.#id !== undefined || this.#retry !== undefined)
        yield this.#block();
    }
  }

  #take(line: string): void {
    const [, name = line, value = ""] = /^([^:]*): ?([^]*)$/.exec(line) ?? [];
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.#retry = Number(value);
  }

  #block(): SseBlock {
    const block = {
      data: this.#data.length === 0 ? undefined : this.#data.join("\n"),
      event: this.#event || "message",
      id: this.#id,
      retry: this.#retry,
    };
    this.#data = [];
    this.#event = "";
    this.#id = undefined;
    this.#retry = undefined;
    return block;
  }
}
