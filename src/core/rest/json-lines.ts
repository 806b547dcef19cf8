import { Code, ConnectError } from "../errors/errors.ts";

/** Cuts the bytes of a stream into the texts of its messages. */
export interface Splitter {
  /**
   * The texts that are complete with these bytes.
   *
   * @throws ConnectError RESOURCE_EXHAUSTED after them, if the next one gets too large
   */
  push(chunk: Uint8Array): Iterable<Uint8Array>;
  /** What is left when the stream ends, white space aside; undefined for nothing. */
  finish(): Uint8Array | undefined;
}

/** Pieces of one text that came in several chunks; every byte is copied once. */
export class Pieces {
  readonly #maxBytes: number;
  #parts: Uint8Array[] = [];
  #size = 0;

  /** @param maxBytes of one text */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @throws ConnectError RESOURCE_EXHAUSTED if the text gets too large */
  add(part: Uint8Array): void {
    this.#size += part.length;
    if (this.#size > this.#maxBytes) throw tooLarge("the server's message", this.#maxBytes);
    if (part.length > 0) this.#parts.push(part);
  }

  /** The text so far; the next one begins empty. */
  take(): Uint8Array {
    const [first = new Uint8Array(), ...more] = this.#parts;
    let whole = first;
    if (more.length > 0) {
      whole = new Uint8Array(this.#size);
      let at = 0;
      for (const part of this.#parts) {
        whole.set(part, at);
        at += part.length;
      }
    }
    this.#parts = [];
    this.#size = 0;
    return whole;
  }
}

/** The error of a message over the limit. */
export function tooLarge(what: string, maxBytes: number): ConnectError {
  return new ConnectError(`${what} is larger than ${maxBytes} bytes`, Code.ResourceExhausted);
}

const lineFeed = 0x0a;

/** A text for each line that has more than white space. */
export function splitLines(maxBytes: number): Splitter {
  const pieces = new Pieces(maxBytes);
  return {
    *push(chunk) {
      let from = 0;
      for (let to = chunk.indexOf(lineFeed); to !== -1; to = chunk.indexOf(lineFeed, from)) {
        pieces.add(chunk.subarray(from, to));
        const line = pieces.take();
        if (!isBlank(line)) yield line;
        from = to + 1;
      }
      pieces.add(chunk.subarray(from));
    },
    finish() {
      const line = pieces.take();
      return isBlank(line) ? undefined : line;
    },
  };
}

/** Whether there is nothing but the white space of JSON. */
export function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d);
}
