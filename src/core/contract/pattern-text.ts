/** How a text is made of an expression. */
interface Choice {
  /** How often more than needed something is repeated. */
  readonly extra: number;
  /** Which of several characters or branches is taken; it grows while the text does. */
  turn: number;
}

/** A part of an expression, which writes a text that fits it. */
type Part = (choice: Choice) => string;

/** Longest text of one repetition, so that repetitions inside of repetitions end. */
const longest = 4096;
/** The characters that are taken first where an expression leaves the choice. */
const preferred =
  "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_.~ !#$%&'()*+,/:;<=>?@[]^`{|}\"\\";

/** Ranges of code points, both ends included; of the classes that have a letter. */
const classes: Readonly<Record<string, readonly (readonly [number, number])[]>> = {
  d: [[48, 57]],
  w: [
    [97, 122],
    [48, 57],
    [65, 90],
    [95, 95],
  ],
  s: [
    [32, 32],
    [9, 13],
  ],
  L: [
    [97, 122],
    [65, 90],
  ],
  Lu: [[65, 90]],
  Ll: [[97, 122]],
  N: [[48, 57]],
  Nd: [[48, 57]],
  alpha: [
    [97, 122],
    [65, 90],
  ],
  digit: [[48, 57]],
  alnum: [
    [97, 122],
    [48, 57],
    [65, 90],
  ],
  upper: [[65, 90]],
  lower: [[97, 122]],
  xdigit: [
    [48, 57],
    [97, 102],
  ],
  space: [[32, 32]],
};

/**
 * Texts that fit a regular expression, of the syntax that RE2 and ECMAScript share; shorter ones first. None where the
 * expression has something else.
 *
 * @param turn which of the texts comes first
 */
export function* patternTexts(pattern: string, turn: number): Generator<string> {
  let part: Part;
  try {
    part = new PatternParser(pattern).parse();
  } catch {
    return;
  }
  for (const extra of [1, 0, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32, 64, 128, 256]) yield part({ extra, turn });
}

class PatternParser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): Part {
    const part = this.#branches();
    if (this.#at < this.#text.length) throw new SyntaxError(`unexpected ${this.#text[this.#at]}`);
    return part;
  }

  #branches(): Part {
    const branches = [this.#sequence()];
    while (this.#takes("|")) branches.push(this.#sequence());
    return (choice) => branches[choice.turn % branches.length]?.(choice) ?? "";
  }

  #sequence(): Part {
    const parts: Part[] = [];
    while (this.#at < this.#text.length && !"|)".includes(this.#peek()))
      parts.push(this.#repeated(this.#atom()));
    return (choice) => parts.map((part) => part(choice)).join("");
  }

  #repeated(part: Part): Part {
    const found = /(?:[*+?]|\{\d+(?:,\d*)?\})\??/y;
    found.lastIndex = this.#at;
    const [all] = found.exec(this.#text) ?? [];
    if (all === undefined) return part;
    this.#at += all.length;
    const [least, most] = boundsOf(all);
    return (choice) => {
      const count = Math.min(most, least + choice.extra);
      let text = "";
      for (let done = 0; done < count && text.length < longest; done++) text += part(choice);
      return text;
    };
  }

  #atom(): Part {
    const char = this.#next();
    switch (char) {
      case "(":
        return this.#group();
      case "[":
        return this.#class();
      case "\\":
        return this.#escape();
      case ".":
        return oneOf([[97, 122]], false);
      case "^":
      case "$":
        return () => "";
      default:
        return () => char;
    }
  }

  #group(): Part {
    const head = /\?(?:P?<[A-Za-z_]\w*>|[a-zA-Z-]*:|[a-zA-Z-]+\))/y;
    if (this.#peek() === "?") {
      head.lastIndex = this.#at;
      const [all] = head.exec(this.#text) ?? [];
      if (all === undefined) throw new SyntaxError("an unknown group");
      this.#at += all.length;
      if (all.endsWith(")")) return () => ""; // Flags for what follows.
    }
    const part = this.#branches();
    if (!this.#takes(")")) throw new SyntaxError("an open group");
    return part;
  }

  #escape(): Part {
    const char = this.#next();
    if ("AzbBZG".includes(char)) return () => "";
    if (char === "Q") {
      const end = this.#text.indexOf(String.raw`\E`, this.#at);
      const text = this.#text.slice(this.#at, end < 0 ? undefined : end);
      this.#at = end < 0 ? this.#text.length : end + 2;
      return () => text;
    }
    return this.#escaped(char);
  }

  #escaped(char: string): Part {
    const named = this.#named(char);
    if (named !== undefined) return oneOf(named.ranges, named.isNegated);
    const code = this.#code(char);
    return () => String.fromCodePoint(code);
  }

  /** A class that has a name: `\d`, `\P{L}`. */
  #named(char: string): { ranges: readonly (readonly [number, number])[]; isNegated: boolean } | undefined {
    const lower = char.toLowerCase();
    if ("dws".includes(lower)) return { ranges: classes[lower] ?? [], isNegated: lower !== char };
    if (lower !== "p") return undefined;
    const name = this.#takes("{") ? this.#until("}") : this.#next();
    return { ranges: known(name.replace("^", "")), isNegated: (lower !== char) !== name.startsWith("^") };
  }

  /** The code point of an escaped character. */
  #code(char: string): number {
    const control = "tnvfr".indexOf(char);
    if (control >= 0) return 9 + control;
    if (char === "a") return 7;
    if (char !== "x" && char !== "u") return char.codePointAt(0) ?? 0;
    const digits = this.#takes("{") ? this.#until("}") : this.#take(char === "x" ? 2 : 4);
    return Number.parseInt(digits, 16);
  }

  #class(): Part {
    const isNegated = this.#takes("^");
    const ranges: (readonly [number, number])[] = [];
    for (let isFirst = true; isFirst || this.#peek() !== "]"; isFirst = false) {
      if (this.#at >= this.#text.length) throw new SyntaxError("an open class");
      if (this.#text.startsWith("[:", this.#at)) {
        this.#at += 2;
        const name = this.#until(":");
        ranges.push(...(name.startsWith("^") ? without(known(name.slice(1))) : known(name)));
        this.#at++; // The bracket behind the colon.
        continue;
      }
      const low = this.#member(ranges);
      if (low === undefined) continue;
      const isRange = this.#peek() === "-" && this.#text[this.#at + 1] !== "]";
      if (isRange) this.#at++;
      ranges.push([low, isRange ? (this.#member(ranges) ?? low) : low]);
    }
    this.#at++;
    return oneOf(ranges, isNegated);
  }

  /** One character of a class; undefined for a class in it, whose ranges are added. */
  #member(ranges: (readonly [number, number])[]): number | undefined {
    const char = this.#next();
    if (char !== "\\") return char.codePointAt(0);
    const escaped = this.#next();
    const named = this.#named(escaped);
    if (named === undefined) return this.#code(escaped);
    ranges.push(...(named.isNegated ? without(named.ranges) : named.ranges));
    return undefined;
  }

  #peek(): string {
    return this.#text.charAt(this.#at);
  }

  #next(): string {
    const code = this.#text.codePointAt(this.#at);
    if (code === undefined) throw new SyntaxError("an unfinished expression");
    const char = String.fromCodePoint(code);
    this.#at += char.length;
    return char;
  }

  #takes(char: string): boolean {
    if (this.#peek() !== char) return false;
    this.#at++;
    return true;
  }

  #take(count: number): string {
    return this.#text.slice(this.#at, (this.#at += count));
  }

  #until(end: string): string {
    const at = this.#text.indexOf(end, this.#at);
    if (at < 0) throw new SyntaxError(`no ${end}`);
    const text = this.#text.slice(this.#at, at);
    this.#at = at + 1;
    return text;
  }
}

/** Least and most repetitions of a quantifier. */
function boundsOf(quantifier: string): readonly [number, number] {
  switch (quantifier[0]) {
    case "*":
      return [0, Number.POSITIVE_INFINITY];
    case "+":
      return [1, Number.POSITIVE_INFINITY];
    case "?":
      return [0, 1];
    default: {
      const [, least = "0", comma, most] = /^\{(\d+)(,?)(\d*)/.exec(quantifier) ?? [];
      if (comma === "") return [Number(least), Number(least)];
      return [Number(least), most === "" ? Number.POSITIVE_INFINITY : Number(most)];
    }
  }
}

/** One character of some ranges, or of all others. */
function oneOf(ranges: readonly (readonly [number, number])[], isNegated: boolean): Part {
  const isIn = (code: number): boolean => ranges.some(([low, high]) => code >= low && code <= high);
  const chars = Array.from(preferred).filter((char) => isIn(char.codePointAt(0) ?? 0) !== isNegated);
  const [[low] = [0x2603]] = ranges;
  if (chars.length === 0) chars.push(String.fromCodePoint(isNegated ? 0x2603 : low));
  return (choice) => chars[choice.turn++ % chars.length] ?? "";
}

function known(name: string): readonly (readonly [number, number])[] {
  const ranges = classes[name];
  if (ranges === undefined) throw new SyntaxError(`an unknown class ${name}`);
  return ranges;
}

/** The printable characters of ASCII that are in none of some ranges. */
function without(ranges: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  return Array.from(preferred)
    .map((char) => char.codePointAt(0) ?? 0)
    .filter((code) => !ranges.some(([low, high]) => code >= low && code <= high))
    .map((code) => [code, code] as const);
}
