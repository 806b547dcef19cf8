import { powersOfTen } from "./exact-numbers.ts";
import { JsonTrace, unknownStep } from "./json-trace.ts";

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const minus = 0x2d;
const dot = 0x2e;
const zero = 0x30;
const nine = 0x39;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/**
 * From this length on, strings are copied out of the text: V8 makes a slice point into its parent, and a handler
 * that keeps one name must not keep the whole body alive.
 */
const sharedTextLength = 65_536;
const shortestSlice = 13;

const numberToken = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

/**
 * A position in a JSON text (RFC 8259) and what the readers share during one read: depth, path, unknown members.
 *
 * Readers find the position on the first character of their value and leave it behind the last one. All failures
 * are INVALID_ARGUMENT with the path of the value; nothing is built for them until they happen.
 */
export class JsonCursor extends JsonTrace {
  #types: Map<number, string> | undefined;
  #typesEnd = -1;

  /** Skips white space and returns the character code at the position; NaN at the end. */
  next(): number {
    const text = this.text;
    let code = text.charCodeAt(this.pos);
    while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09)
      code = text.charCodeAt(++this.pos);
    return code;
  }

  /** Steps over the comma before another element and returns true, or over `close` and returns false. */
  more(close: number): boolean {
    const code = this.next();
    if (code === comma) {
      this.pos++;
      return true;
    }
    if (code !== close) this.unexpected(close === closeBrace ? "',' or '}'" : "',' or ']'");
    this.leave();
    return false;
  }

  /** Reads the name of a member and the colon after it, up to the value. */
  readName(): string {
    if (this.next() !== quote) this.unexpected("a member name in double quotes");
    const name = this.readString();
    this.readColon();
    return name;
  }

  /** Steps over the colon and the space around it. */
  readColon(): void {
    if (this.next() !== colon) this.unexpected("':'");
    this.pos++;
    this.next();
  }

  /** Reads a string literal; the position must be on its opening quote. */
  readString(): string {
    const text = this.text;
    const start = this.pos + 1;
    let pos = start;
    let bits = 0;
    for (;;) {
      const code = text.charCodeAt(pos);
      if (code === quote) break;
      if (code === backslash || !(code >= 0x20)) return this.#readEscaped(pos);
      bits |= code;
      pos++;
    }
    this.pos = pos + 1;
    const value =
      text.length < sharedTextLength || pos - start < shortestSlice
        ? text.slice(start, pos)
        : (JSON.parse(text.slice(start - 1, pos + 1)) as string); // It is a string literal.
    if (bits >= 0xd800 && !value.isWellFormed()) this.#loneSurrogate(start - 1);
    return value;
  }

  /** The rest of `readString` for literals with escapes, and for broken ones; `pos` is the first special character. */
  #readEscaped(pos: number): string {
    const text = this.text;
    const start = this.pos;
    for (;;) {
      const code = text.charCodeAt(pos);
      if (code === quote) break;
      if (code === backslash) pos++;
      else if (!(code >= 0x20)) {
        this.pos = pos;
        this.unexpected(pos < text.length ? "an escape instead of a raw control character" : "'\"'");
      }
      pos++;
    }
    let value: string;
    try {
      value = JSON.parse(text.slice(start, pos + 1)) as string; // It is a string literal.
    } catch {
      return this.syntax("a string with a bad escape");
    }
    if (!value.isWellFormed()) this.#loneSurrogate(start);
    this.pos = pos + 1;
    return value;
  }

  #loneSurrogate(start: number): never {
    this.pos = start;
    this.refuse("expected valid Unicode, found a lone surrogate");
  }

  /** Reads a number literal as a double, correctly rounded; beyond the range of a double it is infinite. */
  readNumber(): number {
    const text = this.text;
    let pos = this.pos;
    let code = text.charCodeAt(pos);
    const negative = code === minus;
    if (negative) code = text.charCodeAt(++pos);
    const first = pos;
    let value = 0;
    while (code >= zero && code <= nine) {
      value = value * 10 + (code - zero);
      code = text.charCodeAt(++pos);
    }
    let digits = pos - first;
    let scale = 0;
    if (code === dot && digits > 0) {
      code = text.charCodeAt(++pos);
      while (code >= zero && code <= nine) {
        value = value * 10 + (code - zero);
        scale++;
        code = text.charCodeAt(++pos);
      }
      if (scale === 0) return Number(this.readNumberToken());
      digits += scale;
    }
    // Both operands are exact up to 15 digits, so the quotient is rounded once, as IEEE 754 asks.
    const divisor = powersOfTen[scale];
    if (
      digits === 0 ||
      digits > 15 ||
      divisor === undefined ||
      code === 0x65 ||
      code === 0x45 ||
      (text.charCodeAt(first) === zero && digits - scale > 1)
    ) {
      return Number(this.readNumberToken());
    }
    this.pos = pos;
    if (scale > 0) value /= divisor;
    return negative ? -value : value;
  }

  /** Reads a number literal as it stands. */
  readNumberToken(): string {
    numberToken.lastIndex = this.pos;
    const found = numberToken.exec(this.text);
    if (found === null) return this.unexpected("a number");
    const token = found[0];
    const code = this.text.charCodeAt(this.pos + token.length);
    if ((code >= zero && code <= nine) || code === dot) this.syntax("a malformed number");
    this.pos += token.length;
    return token;
  }

  /** Reads one of the words `true`, `false` and `null`. */
  readWord(word: "true" | "false" | "null"): void {
    if (!this.text.startsWith(word, this.pos)) this.unexpected("a value");
    this.pos += word.length;
  }

  /** Skips any value, checking its syntax, its depth, its strings and the uniqueness of its member names. */
  skipValue(): void {
    switch (this.next()) {
      case quote:
        this.readString();
        return;
      case openBrace:
        return this.#skipObject();
      case openBracket:
        return this.#skipArray();
      case 0x74:
        return this.readWord("true");
      case 0x66:
        return this.readWord("false");
      case 0x6e:
        return this.readWord("null");
      default:
        this.readNumberToken();
    }
  }

  #skipArray(): void {
    const level = this.enter();
    if (this.next() === closeBracket) return this.leave();
    let index = 0;
    do {
      this.path[level] = index++;
      this.skipValue();
    } while (this.more(closeBracket));
  }

  #skipObject(): void {
    const start = this.pos;
    const level = this.enter();
    if (this.next() === closeBrace) return this.leave();
    const seen = new Set<string>();
    do {
      const name = this.readName();
      this.path[level] = unknownStep(name);
      this.countEntry();
      if (seen.size === seen.add(name).size) this.refuse("the member stands here twice");
      if (name === "@type" && this.#types !== undefined && this.next() === quote) {
        this.#types.set(start, this.readString());
      } else this.skipValue();
    } while (this.more(closeBrace));
  }

  /**
   * The member `@type` of the object at the position, which does not move; undefined where there is none.
   *
   * Looking into one object notes the types of all objects inside, so that nested `Any`s cost one look in all.
   */
  typeUrl(): string | undefined {
    const start = this.pos;
    this.#types ??= new Map();
    if (start >= this.#typesEnd) {
      const { depth, left } = this;
      this.#skipObject();
      this.#typesEnd = this.pos;
      this.pos = start;
      this.depth = depth;
      this.left = left; // What counts is counted when it is read.
    }
    return this.#types.get(start);
  }

  /** Skips the value of a member that the message does not have, and notes its path. */
  skipUnknown(): void {
    this.noteUnknown();
    this.skipValue();
  }

  /** Ends the read: nothing may follow, and unknown members are refused if the options say so. */
  finish(): void {
    this.next();
    if (this.pos < this.text.length) this.unexpected("the end of the text");
    this.refuseUnknown();
  }
}
