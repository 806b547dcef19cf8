import { floodError } from "./http2-error.ts";

/** CONTINUATION frames of one block. */
const mostContinuations = 8;

const nothing = Buffer.alloc(0);

/** Puts a header block together that comes in a HEADERS and CONTINUATION frames. */
export class HeaderBlock {
  readonly #maxBytes: number;
  #bytes: Buffer = nothing;
  #have = 0;
  #continuations = 0;

  /** @param maxBytes The largest block. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The fragment of the HEADERS frame. @throws Http2Error for too large a block */
  begin(bytes: Buffer, start: number, end: number): void {
    this.#have = 0;
    this.#continuations = 0;
    this.add(bytes, start, end);
  }

  /** A CONTINUATION frame begins. @throws Http2Error for too many, and for empty ones that are not the last */
  check(length: number, isLast: boolean): void {
    if (++this.#continuations > mostContinuations) throw floodError("too many CONTINUATION frames");
    if (length === 0 && !isLast) throw floodError("an empty CONTINUATION frame");
  }

  /** The fragment of a CONTINUATION frame. @throws Http2Error for too large a block */
  add(bytes: Buffer, start: number, end: number): void {
    const need = this.#have + end - start;
    if (need > this.#maxBytes) throw floodError("a header block above the limit");
    if (need > this.#bytes.length) {
      const bigger = Buffer.allocUnsafe(Math.max(need, 2 * this.#have));
      this.#bytes.copy(bigger, 0, 0, this.#have);
      this.#bytes = bigger;
    }
    bytes.copy(this.#bytes, this.#have, start, end);
    this.#have = need;
  }

  /** The complete block. */
  take(): Buffer {
    const block = this.#bytes.subarray(0, this.#have);
    this.#bytes = nothing;
    return block;
  }
}
