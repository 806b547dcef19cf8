import { powersOfTen } from "./exact-numbers.ts";
import { JsonTrace } from "./json-trace.ts";
import { sliceIsCheap } from "./string-slices.ts";

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const minus = 0x2d;
const dot = 0x2e;
const zero = 0x30;
const nine = 0x39;
const closeBrace = 0x7d;

const numberToken = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

/**
 * The tokens of a JSON text (RFC 8259). Every method reads the token at the position and moves the position behind it. All failures are INVALID_ARGUMENT with the path of the value.
 */
export class JsonTokens extends JsonTrace {
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
    const value = sliceIsCheap(pos - start, text.length)
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
}
