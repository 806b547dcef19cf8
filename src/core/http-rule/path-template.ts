import { normalizeLiteral } from "./percent.ts";

/** One segment of a path template: a literal, `*` (`any`: one segment) or `**` (`rest`: none, one or more). */
export type TemplateSegment =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "any" }
  | { readonly kind: "rest" };

/** A variable of a path template and the segments it captures, from `start` up to but without `end`. */
export interface TemplateVariable {
  /** Proto names, outermost field first. */
  readonly fieldPath: readonly string[];
  readonly start: number;
  readonly end: number;
  /** Position of its `{` in the template's text, counted from 1. */
  readonly column: number;
}

/** A parsed path template. Literals and the verb are normalised by {@link normalizeLiteral}. */
export interface PathTemplate {
  readonly text: string;
  readonly segments: readonly TemplateSegment[];
  readonly variables: readonly TemplateVariable[];
  /** The custom verb without its colon; empty when there is none. */
  readonly verb: string;
}

/** Why a path template cannot be used, and where. */
export class PathTemplateError extends Error {
  override readonly name = "PathTemplateError";
  readonly template: string;
  /** Counted from 1. */
  readonly column: number;
  readonly reason: string;

  constructor(template: string, column: number, reason: string) {
    super(`path template "${template}", column ${column}: ${reason}`);
    this.template = template;
    this.column = column;
    this.reason = reason;
  }
}

/**
 * Parses a path template as `google/api/http.proto` defines it, plus the root template `/` and literal segments
 * after `**`.
 *
 * @throws PathTemplateError
 */
export function parsePathTemplate(text: string): PathTemplate {
  return new TemplateParser(text).parse();
}

const anySegment: TemplateSegment = Object.freeze({ kind: "any" });
const restSegment: TemplateSegment = Object.freeze({ kind: "rest" });
const identifier = /[A-Za-z_][A-Za-z0-9_]*/y;

class TemplateParser {
  readonly #text: string;
  readonly #segments: TemplateSegment[] = [];
  readonly #variables: TemplateVariable[] = [];
  /** A verb can only begin in the last segment: a colon before the last slash is part of a literal. */
  readonly #lastSlash: number;
  #at = 0;
  #restSeen = false;

  constructor(text: string) {
    this.#text = text;
    this.#lastSlash = text.lastIndexOf("/");
  }

  parse(): PathTemplate {
    if (this.#peek() !== "/") this.#fail(`a path template starts with "/"`);
    let verb = "";
    if (this.#text !== "/") {
      do {
        this.#at++;
        this.#segment();
      } while (this.#peek() === "/");
      if (this.#peek() === ":") verb = this.#verb();
      if (this.#at < this.#text.length) this.#fail(`expected "/", ":" or the end, found "${this.#peek()}"`);
    }
    return { text: this.#text, segments: this.#segments, variables: this.#variables, verb };
  }

  #segment(): void {
    if (this.#peek() === "{") this.#variable();
    else this.#plainSegment(false);
    const next = this.#peek();
    if (next === "{") this.#fail("a variable must be a whole segment");
    if (next !== "" && next !== "/" && next !== ":")
      this.#fail("a variable or wildcard must be a whole segment");
  }

  #plainSegment(inVariable: boolean): void {
    if (this.#peek() === "*") this.#wildcard();
    else this.#literal(inVariable);
  }

  #wildcard(): void {
    const column = this.#at;
    const rest = this.#text.startsWith("**", this.#at);
    this.#at += rest ? 2 : 1;
    this.#pushWildcard(rest ? restSegment : anySegment, column);
  }

  #pushWildcard(segment: TemplateSegment, at: number): void {
    if (this.#restSeen) this.#fail(`only literal segments may follow "**"`, at);
    this.#restSeen = segment === restSegment;
    this.#segments.push(segment);
  }

  #literal(inVariable: boolean): void {
    const start = this.#at;
    while (this.#at < this.#text.length && !this.#endsLiteral(inVariable)) this.#at++;
    if (this.#at === start) this.#fail(inVariable ? "empty segment inside a variable" : "empty segment");
    const next = this.#peek();
    if (next === "*") this.#fail("a wildcard must be a whole segment");
    if (next === "}" && !inVariable) this.#fail(`"}" without "{"`);
    this.#segments.push({ kind: "literal", text: this.#normalized(start, this.#at) });
  }

  #endsLiteral(inVariable: boolean): boolean {
    const char = this.#peek();
    if (char === ":") return inVariable || this.#at > this.#lastSlash;
    return char === "/" || char === "{" || char === "}" || char === "*";
  }

  #variable(): void {
    const column = this.#at + 1;
    this.#at++;
    const fieldPath = this.#fieldPath();
    const start = this.#segments.length;
    if (this.#peek() === "=") {
      do {
        this.#at++;
        this.#variableSegment();
      } while (this.#peek() === "/");
    } else if (this.#peek() === "}") {
      this.#pushWildcard(anySegment, column - 1);
    }
    if (this.#peek() !== "}") this.#fail(`expected "}"`);
    this.#at++;
    const name = fieldPath.join(".");
    if (this.#variables.some((other) => other.fieldPath.join(".") === name)) {
      this.#fail(`field "${name}" is bound twice`, column - 1);
    }
    this.#variables.push({ fieldPath, start, end: this.#segments.length, column });
  }

  #variableSegment(): void {
    if (this.#peek() === "{") this.#fail("a variable may not contain a variable");
    this.#plainSegment(true);
    const next = this.#peek();
    if (next === ":") this.#fail("a verb may not stand inside a variable");
    if (next === "{") this.#fail("a variable may not contain a variable");
    if (next !== "" && next !== "/" && next !== "}") this.#fail("a wildcard must be a whole segment");
  }

  #fieldPath(): string[] {
    const names: string[] = [];
    do {
      if (names.length > 0) this.#at++;
      identifier.lastIndex = this.#at;
      const name = identifier.exec(this.#text)?.[0];
      if (name === undefined) this.#fail("expected a field name");
      names.push(name);
      this.#at += name.length;
    } while (this.#peek() === ".");
    return names;
  }

  #verb(): string {
    const start = this.#at + 1;
    if (start === this.#text.length) this.#fail("empty verb");
    for (this.#at = start; this.#at < this.#text.length; this.#at++) {
      const char = this.#peek();
      if (char === "/") this.#fail("a verb ends the template");
      if (char === "{" || char === "}" || char === "*") this.#fail(`a verb is literal text, found "${char}"`);
    }
    return this.#normalized(start, this.#at);
  }

  /** The literal text between two offsets, percent-encoded in the form in which paths are compared. */
  #normalized(start: number, end: number): string {
    let encoded = "";
    for (const char of this.#text.slice(start, end)) {
      if (!isPathCharacter(char)) {
        const escape = encodeURIComponent(char.isWellFormed() ? char : "\ufffd");
        const shown = char.charCodeAt(0) > 0x20 ? `"${char}"` : `the character ${escape}`;
        this.#fail(
          `${shown} never occurs in a path; percent-encode it: write ${escape} for the character`,
          this.#text.indexOf(char, start),
        );
      }
      encoded += char < "\x80" ? char : encodeURIComponent(char);
    }
    const text = normalizeLiteral(encoded);
    return text ?? this.#fail("malformed percent-encoding", this.#malformedEscape(start));
  }

  #malformedEscape(start: number): number {
    return start + this.#text.slice(start).search(/%(?![0-9a-f]{2})/i);
  }

  #peek(): string {
    return this.#text.charAt(this.#at);
  }

  #fail(reason: string, at: number = this.#at): never {
    throw new PathTemplateError(this.#text, at + 1, reason);
  }
}

/**
 * Whether a literal may contain a character: one that is allowed in a path (RFC 3986 section 3.3, `pchar`; `%` begins
 * an escape), or a non-ASCII character, which clients percent-encode automatically.
 */
function isPathCharacter(char: string): boolean {
  return char < "\x80"
    ? /^[A-Za-z0-9\-._~!$&'()*+,;=:@%]$/.test(char)
    : /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(char);
}
