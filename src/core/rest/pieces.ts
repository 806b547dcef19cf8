import { Code, ConnectError } from "../errors/errors.ts";

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
