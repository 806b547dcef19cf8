import { JsonTokens } from "./json-tokens.ts";
import { unknownStep } from "./json-trace.ts";

const quote = 0x22;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/**
 * A position in a JSON text and what the readers share during one read: depth, path, unknown members.
 *
 * At the call of a reader the position is on the first character of its value, afterwards behind the last one. All failures
 * are INVALID_ARGUMENT with the path of the value; nothing is built for them until they happen.
 */
export class JsonCursor extends JsonTokens {
  #types: Map<number, string> | undefined;
  #typesEnd = -1;

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
