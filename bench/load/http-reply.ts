/**
 * Separates the replies of one connection: HTTP/1.1 (RFC 9112) with a Content-Length or in chunks. Any status other
 * than 200 is an error, and so is more than one reply to a request.
 */
export class ReplyReader {
  readonly #onBody: (body: Buffer) => void;
  readonly #onError: (error: Error) => void;
  /** What came of a reply that is not complete. */
  #rest: Buffer[] = [];
  /** Whether it comes in chunks, so that its end has to be looked for. */
  #inChunks = false;
  /** Length of the last reply's head. Replies differ in their Date only, so the next one has the same length. */
  #head = 0;
  /** Length of the whole reply; 0 if it was chunked. */
  #total = 0;

  constructor(onBody: (body: Buffer) => void, onError: (error: Error) => void) {
    this.#onBody = onBody;
    this.#onError = onError;
  }

  push(chunk: Buffer): void {
    this.#rest.push(chunk);
    if (!this.#mayBeComplete()) return;
    const bytes = this.#rest.length === 1 ? chunk : Buffer.concat(this.#rest);
    const alike = bytes.length === this.#total && bytes[this.#head - 1] === 0x0a;
    const body = alike ? bytes.subarray(this.#head) : this.#read(bytes);
    if (body === "incomplete") {
      this.#rest = [bytes];
      return;
    }
    this.#rest = [];
    this.#inChunks = false;
    // "HTTP/1.1 200"
    if (body === "wrong" || bytes[9] !== 0x32 || bytes[10] !== 0x30 || bytes[11] !== 0x30) {
      this.#onError(new Error(`not a reply as expected: ${bytes.toString("latin1", 0, 500)}`));
    } else this.#onBody(body);
  }

  /** Chunks in many pieces are put together once, not with each of their pieces. */
  #mayBeComplete(): boolean {
    const [last, before] = [this.#rest.at(-1), this.#rest.at(-2)];
    if (!this.#inChunks || last === undefined || before === undefined) return true;
    const end = last.length >= lastChunk.length ? last : Buffer.concat([before, last]);
    return end.length < lastChunk.length || end.subarray(-lastChunk.length).equals(lastChunk);
  }

  #read(bytes: Buffer): Buffer | "incomplete" | "wrong" {
    const end = bytes.indexOf("\r\n\r\n");
    if (end < 0) return "incomplete";
    const head = bytes.toString("latin1", 0, end);
    this.#head = end + 4;
    this.#total = 0;
    this.#inChunks = /^transfer-encoding: *chunked *$/im.test(head);
    if (this.#inChunks) return dechunked(bytes, this.#head);
    const length = /^content-length: *(\d+)/im.exec(head)?.[1];
    if (length === undefined) return "wrong";
    this.#total = this.#head + Number(length);
    if (bytes.length === this.#total) return bytes.subarray(this.#head);
    return bytes.length < this.#total ? "incomplete" : "wrong";
  }
}

const lastChunk = Buffer.from("0\r\n\r\n");

/** The body whose chunks begin at `start`. */
function dechunked(bytes: Buffer, start: number): Buffer | "incomplete" | "wrong" {
  if (!bytes.subarray(-lastChunk.length).equals(lastChunk)) return "incomplete";
  const pieces: Buffer[] = [];
  let at = start;
  for (;;) {
    const line = bytes.indexOf("\r\n", at);
    if (line < 0) return "incomplete";
    const size = Number.parseInt(bytes.toString("latin1", at, line), 16);
    if (Number.isNaN(size)) return "wrong";
    at = line + 2 + size + 2;
    if (at > bytes.length) return "incomplete";
    if (size === 0) return at === bytes.length ? Buffer.concat(pieces) : "wrong";
    pieces.push(bytes.subarray(line + 2, line + 2 + size));
  }
}
