import { invalidArgument } from "../../core/errors/errors.ts";
import { HttpError } from "./http-error.ts";

/** Limits of one message of a body. */
export interface SplitterLimits {
  /** The most bytes of one message's text: 413 beyond. */
  readonly maxMessageBytes: number;
  /** The deepest nesting of objects and arrays in a message: INVALID_ARGUMENT beyond. */
  readonly maxDepth: number;
}

/**
 * The position of the splitter in the body.
 *
 * - `start`: before the first text, which decides between array and sequence
 * - `item`: in an array, before an item; `first`: where the array may end instead
 * - `separator`: in an array, after an item
 * - `closed`: after the array
 * - `sequence`: between the texts of a sequence
 */
type Place = "start" | "first" | "item" | "separator" | "closed" | "sequence";

/** The kind of the value that is being read; undefined between values. */
type Inside = "nested" | "string" | "scalar" | undefined;

const byteOrderMark = [0xef, 0xbb, 0xbf] as const;

/**
 * Splits the bytes of a body into JSON texts, one for each message: the items of one array, or a sequence of values
 * with or without white space between them (NDJSON, JSON lines, concatenated JSON). A byte order mark at the start is
 * skipped.
 *
 * It finds only the ends of values; the reader of messages validates them: the results are bytes of any kind with
 * balanced brackets. Only the text of one message is buffered.
 */
export class JsonSplitter {
  readonly #limits: SplitterLimits;
  #place: Place = "start";
  #markBytes = 0;
  #inside: Inside;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #parts: Uint8Array[] = [];
  #size = 0;

  constructor(limits: SplitterLimits) {
    this.#limits = limits;
  }

  /**
   * Yields the texts that `chunk` completes; each is searched for on demand.
   * A text that is whole in the chunk is a view of it.
   *
   * @throws HttpError 413 when a text is too long; ConnectError INVALID_ARGUMENT where no value can begin, and for
   * a value that is nested too deeply
   */
  *push(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    let index = 0;
    while (index < chunk.length) {
      if (this.#inside === undefined) {
        index = this.#skip(chunk, index);
        if (index === chunk.length) return;
        this.#enter(chunk[index] ?? 0);
        if (this.#inside === undefined) {
          index++;
          continue;
        }
      }
      const end = this.#scan(chunk, index);
      this.#keep(chunk.subarray(index, end === -1 ? chunk.length : end));
      if (end === -1) return;
      index = end;
      yield this.#complete();
    }
  }

  /**
   * The last text, if only the end of the body completes it: a number or a word.
   *
   * @throws ConnectError INVALID_ARGUMENT when the body ends inside a value or an array
   */
  finish(): Uint8Array | undefined {
    if (this.#inside === "nested" || this.#inside === "string") {
      throw invalidArgument("the request body ends inside of a message");
    }
    const last = this.#inside === "scalar" ? this.#complete() : undefined;
    if (this.#place !== "start" && this.#place !== "closed" && this.#place !== "sequence") {
      throw invalidArgument("the request body ends inside of its array");
    }
    return last;
  }

  /** The index of the next significant byte between values. */
  #skip(chunk: Uint8Array, from: number): number {
    let index = from;
    while (index < chunk.length) {
      const byte = chunk[index] ?? 0;
      if (this.#place === "start" && byte === byteOrderMark[this.#markBytes]) this.#markBytes++;
      else if (this.#markBytes === 1 || this.#markBytes === 2)
        throw unexpected(byteOrderMark[0], "a message");
      else if (isSpace(byte)) this.#markBytes = byteOrderMark.length;
      else break;
      index++;
    }
    return index;
  }

  /** Handles a significant byte between values; sets `#inside` if a value begins with it. */
  #enter(byte: number): void {
    switch (this.#place) {
      case "start":
        this.#place = byte === openBracket ? "first" : "sequence";
        if (byte !== openBracket) this.#open(byte);
        return;
      case "first":
        if (byte === closeBracket) this.#place = "closed";
        else this.#openItem(byte);
        return;
      case "item":
        this.#openItem(byte);
        return;
      case "separator":
        if (byte === comma) this.#place = "item";
        else if (byte === closeBracket) this.#place = "closed";
        else throw unexpected(byte, "a comma or the end of the array");
        return;
      case "closed":
        throw invalidArgument(
          "the request body continues after its array: send one array, or messages without",
        );
      case "sequence":
        this.#open(byte);
    }
  }

  #openItem(byte: number): void {
    this.#open(byte);
    this.#place = "separator";
  }

  #open(byte: number): void {
    if (byte === openBrace || byte === openBracket) this.#inside = "nested";
    else if (byte === quote) this.#inside = "string";
    else if (isScalarStart(byte)) this.#inside = "scalar";
    else throw unexpected(byte, "a message");
    this.#depth = 0;
    this.#inString = false;
    this.#escaped = false;
  }

  /** The index after the value in `chunk`, -1 if it continues after the chunk. */
  #scan(chunk: Uint8Array, from: number): number {
    if (this.#inside === "scalar") return endOfScalar(chunk, from);
    for (let index = from; index < chunk.length; index++) {
      const byte = chunk[index];
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === backslash) this.#escaped = true;
        else if (byte === quote) {
          this.#inString = false;
          if (this.#depth === 0) return index + 1;
        }
      } else if (byte === quote) {
        this.#inString = true;
      } else if (byte === openBrace || byte === openBracket) {
        if (++this.#depth > this.#limits.maxDepth) {
          throw invalidArgument(`a message nests deeper than ${this.#limits.maxDepth} levels`);
        }
      } else if ((byte === closeBrace || byte === closeBracket) && --this.#depth === 0) {
        return index + 1;
      }
    }
    return -1;
  }

  #keep(part: Uint8Array): void {
    this.#size += part.length;
    const { maxMessageBytes } = this.#limits;
    if (this.#size > maxMessageBytes) {
      throw new HttpError(413, `a message of the request body is larger than ${maxMessageBytes} bytes`);
    }
    this.#parts.push(part);
  }

  #complete(): Uint8Array {
    const [only] = this.#parts;
    const bytes =
      this.#parts.length === 1 && only !== undefined ? only : Buffer.concat(this.#parts, this.#size);
    this.#inside = undefined;
    this.#parts = [];
    this.#size = 0;
    return bytes;
  }
}

const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const comma = 0x2c;
const quote = 0x22;
const backslash = 0x5c;

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** Whether a number, `true`, `false` or `null` begins with a byte. */
function isScalarStart(byte: number): boolean {
  return byte === 0x2d || (byte >= 0x30 && byte <= 0x39) || byte === 0x74 || byte === 0x66 || byte === 0x6e;
}

function endOfScalar(chunk: Uint8Array, from: number): number {
  for (let index = from; index < chunk.length; index++) {
    const byte = chunk[index] ?? 0;
    if (isSpace(byte) || endsScalar.has(byte)) return index;
  }
  return -1;
}

const endsScalar: ReadonlySet<number> = new Set([
  openBrace,
  closeBrace,
  openBracket,
  closeBracket,
  comma,
  quote,
]);

function unexpected(byte: number, due: string): Error {
  const found =
    byte > 0x20 && byte < 0x7f ? `"${String.fromCharCode(byte)}"` : `the byte 0x${byte.toString(16)}`;
  return invalidArgument(`the request body has ${found} where ${due} is due`);
}
