/** A value in protobuf's text format, not yet interpreted by a descriptor. */
export type TextValue =
  | { readonly kind: "message"; readonly fields: readonly TextField[] }
  | { readonly kind: "string"; readonly bytes: Uint8Array }
  /** A number, a name of an enum value, `true` or `false`. */
  | { readonly kind: "word"; readonly text: string };

/** A field of a message in text format. */
export interface TextField {
  /** As written; names of extensions and types in brackets. */
  readonly name: string;
  readonly values: readonly TextValue[];
}

/**
 * Parses a message in braces as in options of `.proto` sources. Supports lists, also of messages, fields with or
 * without colons, `<…>` for braces, adjacent strings, and comments.
 *
 * @throws SyntaxError that names the expected and the found token
 */
export function parseTextMessage(text: string): TextValue {
  return new TextParser(text).parse();
}

const token =
  /(?:\s|\/\/[^\n]*|\/\*[^]*?\*\/)*("(?:[^"\\\n]|\\[^])*"|'(?:[^'\\\n]|\\[^])*'|-?\s*[\w.]+(?:(?<=[\d.][eE])[-+]\d+)?|[{}<>[\]:,;/]|$)/y;

class TextParser {
  readonly #text: string;
  #at = 0;
  #token = "";

  constructor(text: string) {
    this.#text = text;
    this.#next();
  }

  parse(): TextValue {
    const message = this.#message();
    if (this.#token !== "") this.#fail("the end");
    return message;
  }

  #message(): TextValue {
    if (!this.#is("{", "<")) this.#fail('"{"');
    const close = this.#is("<") ? ">" : "}";
    this.#next();
    const fields: TextField[] = [];
    while (!this.#is(close)) {
      fields.push(this.#field());
      if (this.#is(",", ";")) this.#next();
    }
    this.#next();
    return { kind: "message", fields };
  }

  #field(): TextField {
    const name = this.#token === "[" ? this.#bracketed() : this.#token;
    if (!/^(?:[A-Za-z_]\w*|\[.+\])$/.test(name)) this.#fail("the name of a field");
    if (!name.startsWith("[")) this.#next();
    if (this.#token === ":") this.#next();
    return { name, values: this.#token === "[" ? this.#list() : [this.#value()] };
  }

  #bracketed(): string {
    let name = "";
    for (; this.#token !== "]"; this.#next()) {
      if (this.#token === "") this.#fail('"]"');
      name += this.#token;
    }
    this.#next();
    return `${name}]`;
  }

  #list(): TextValue[] {
    const values: TextValue[] = [];
    this.#next();
    while (this.#token !== "]") {
      values.push(this.#value());
      if (this.#token === ",") this.#next();
      else if (this.#token !== "]") this.#fail('"," or "]"');
    }
    this.#next();
    return values;
  }

  #value(): TextValue {
    if (this.#token === "{" || this.#token === "<") return this.#message();
    if (/^["']/.test(this.#token)) {
      const pieces: Uint8Array[] = [];
      for (; /^["']/.test(this.#token); this.#next()) pieces.push(unescape(this.#token.slice(1, -1)));
      return { kind: "string", bytes: Buffer.concat(pieces) };
    }
    if (!/^-?\s*[\w.]/.test(this.#token)) this.#fail("a value");
    const text = this.#token.replace(/\s/g, "");
    this.#next();
    return { kind: "word", text };
  }

  #is(...tokens: readonly string[]): boolean {
    return tokens.includes(this.#token);
  }

  #next(): void {
    token.lastIndex = this.#at;
    const found = token.exec(this.#text);
    if (found === null) {
      this.#token = this.#text.slice(this.#at).trimStart().charAt(0);
      this.#fail("a token of text format");
    }
    this.#token = found[1] ?? "";
    this.#at = token.lastIndex;
  }

  #fail(expected: string): never {
    throw new SyntaxError(
      `text format: expected ${expected}, found ${this.#token === "" ? "the end" : `"${this.#token}"`}`,
    );
  }
}

const simpleEscapes: Readonly<Record<string, string>> = {
  ...{ a: "\x07", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v" },
};

/** The bytes of a string's text between its quotes. */
function unescape(text: string): Uint8Array {
  const pieces: Uint8Array[] = [];
  const escape = /\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([^]))|[^\\]+/g;
  for (const [whole, hex, octal, short, long, char] of text.matchAll(escape)) {
    const code = short ?? long;
    if (hex !== undefined) pieces.push(Uint8Array.of(Number.parseInt(hex, 16)));
    else if (octal !== undefined) pieces.push(Uint8Array.of(Number.parseInt(octal, 8)));
    else if (code !== undefined) pieces.push(Buffer.from(String.fromCodePoint(Number.parseInt(code, 16))));
    else pieces.push(Buffer.from(char === undefined ? whole : (simpleEscapes[char] ?? char)));
  }
  return Buffer.concat(pieces);
}
