import type { Registry } from "@bufbuild/protobuf";
import { type FieldViolation, invalidArgument } from "../errors/errors.ts";
import { missing } from "./required-fields.ts";

/** What the reader does where the contract leaves a choice. */
export interface JsonReadOptions {
  /** Members that the message does not have: skipped, or refused with one violation per name. Default `ignore`. */
  readonly unknownFields: "ignore" | "reject";
  /**
   * Names that an enum does not have: refused, or, where unknown members are ignored too, dropped like these, so that
   * a field stays unset, a list or map has one value less. Default `reject`.
   */
  readonly unknownEnums: "reject" | "ignore";
  /** How deep objects and arrays may nest. Default 100. */
  readonly maxDepth: number;
  /**
   * How many names and values of the caller's own choice one text may have, which cost more than fields: entries of
   * maps, members and elements of `Struct`, `Value` and `ListValue`, elements of lists of these and of `Any`, all
   * members inside of one `Any`, and members that the message does not have. 0 for any number. Default 100,000.
   */
  readonly maxEntries: number;
  /** Types that `google.protobuf.Any` may hold beside the standard ones, and extensions. Default: none. */
  readonly registry?: Registry | undefined;
  /** Called with the path of every member that was skipped as unknown. */
  readonly onUnknownField?: ((path: string) => void) | undefined;
}

/** The defaults of {@link JsonReadOptions}. */
export const jsonReadDefaults: JsonReadOptions = Object.freeze({
  unknownFields: "ignore",
  unknownEnums: "reject",
  maxDepth: 100,
  maxEntries: 100_000,
});

/** `maxEntries` as a number to count down from. */
export function entryLimit(maxEntries: number): number {
  return maxEntries > 0 ? maxEntries : 0x7fff_ffff;
}

/** One step of the path to a value: a field (or unknown member), the index in a list, or the key of a map. */
export type PathStep = { readonly name: string } | number | string;

/** Longest piece of the caller's text that an error repeats, in characters. */
const excerptLength = 40;

/** How many unknown members one error names; the rest is counted. */
const namedUnknowns = 100;

/** The step of a container before its first element. */
const nowhere: PathStep = { name: "" };

/** Where a read is in its text: the path to the current value, and the errors that name it. */
export class JsonTrace {
  readonly text: string;
  readonly options: JsonReadOptions;
  /** Offset of the next character. */
  pos = 0;
  /** Steps to the current value; only the first `depth` are valid. */
  readonly path: PathStep[] = [];
  /** Containers that are open now; each owns the step of `path` with its level. */
  depth = 0;
  /** How many more entries may come, see `maxEntries`. */
  left: number;
  readonly #base: number;
  #unknown: FieldViolation[] | undefined;
  #unknownCount = 0;

  /** `field` is the first step of all paths when `text` is the value of one field and not of a whole message. */
  constructor(text: string, options: JsonReadOptions, field?: PathStep) {
    this.text = text;
    this.options = options;
    this.left = entryLimit(options.maxEntries);
    if (field !== undefined) {
      this.path[0] = field;
      this.depth = 1;
    }
    this.#base = this.depth;
  }

  /** Steps over the bracket that opens a container and returns its level in `path`. */
  enter(): number {
    const level = this.depth;
    if (level - this.#base >= this.options.maxDepth) {
      this.refuse(`nesting is deeper than ${this.options.maxDepth} levels`);
    }
    this.path[level] = nowhere;
    this.depth = level + 1;
    this.pos++;
    return level;
  }

  /** Steps over the bracket that closes the innermost container. */
  leave(): void {
    this.pos++;
    this.depth--;
  }

  /** Counts the current element among those that `maxEntries` bounds. */
  countEntry(): void {
    if (--this.left >= 0) return;
    const { maxEntries } = this.options;
    this.refuse(
      `the text has more than ${maxEntries} entries of maps, free-form objects and unknown members`,
    );
  }

  /** Notes that the value at `start` is dropped for its unknown name, or throws as `expected`, as the options say. */
  unknownEnum(what: string, start: number): undefined {
    const { unknownFields, unknownEnums, onUnknownField } = this.options;
    if (unknownEnums === "reject" || unknownFields === "reject") return this.expected(what, start);
    onUnknownField?.(this.fieldPath());
    return undefined;
  }

  /** Notes that the message has no field for the current member. */
  noteUnknown(): void {
    const { unknownFields, onUnknownField } = this.options;
    if (unknownFields === "ignore") return onUnknownField?.(this.fieldPath());
    this.#unknown ??= [];
    if (this.#unknownCount++ < namedUnknowns) {
      this.#unknown.push({ field: this.fieldPath(), description: "the message has no such field" });
    }
  }

  /** Throws if unknown members were noted and the options refuse them. */
  refuseUnknown(): void {
    if (this.#unknown === undefined) return;
    const others = this.#unknownCount - 1;
    const more = others === 0 ? "" : ` and ${others} more`;
    throw invalidArgument(`unknown field ${this.#unknown[0]?.field}${more}`, this.#unknown);
  }

  /** Throws for a value that its field cannot have; `expected` is a sentence without its end. */
  refuse(expected: string): never {
    const field = this.fieldPath();
    const message = field === "" ? expected : `${field}: ${expected}`;
    throw invalidArgument(message, [{ field, description: expected }, ...(this.#unknown ?? [])]);
  }

  /** Throws because the current message lacks required fields, by their paths inside of it. */
  refuseMissing(fields: readonly string[]): never {
    const path = this.fieldPath();
    throw missing(fields.map((field) => (path === "" ? field : `${path}.${field}`)));
  }

  /** Throws because the value at `start` is not `what`, and says what it is. */
  expected(what: string, start: number = this.pos): never {
    this.pos = start;
    return this.refuse(`expected ${what}, found ${this.#excerpt()}`);
  }

  /** Throws because the text is no JSON at the position. */
  unexpected(what: string): never {
    return this.syntax(`expected ${what}, found ${this.#excerpt()}`);
  }

  /** Throws because the text is no JSON at the position; `problem` says why. */
  syntax(problem: string): never {
    const before = this.text.slice(0, this.pos);
    const line = before.split("\n").length;
    const column = this.pos - before.lastIndexOf("\n");
    return this.refuse(`invalid JSON at line ${line}, column ${column}: ${problem}`);
  }

  /** The path of the current value in proto names, for example `book.tags[2].name` or `labels["a"]`. */
  fieldPath(): string {
    let path = "";
    for (const step of this.path.slice(0, this.depth)) {
      if (typeof step === "number") path += `[${step}]`;
      else if (typeof step === "string") path += `[${JSON.stringify(shorten(step))}]`;
      else if (step !== nowhere) path += path === "" ? step.name : `.${step.name}`;
    }
    return path;
  }

  /** What stands at the position, in words that fit into an error. */
  #excerpt(): string {
    const { text, pos } = this;
    const rest = text.slice(pos, pos + excerptLength + 1);
    if (rest === "") return "the end of the text";
    if (rest.startsWith("{")) return "an object";
    if (rest.startsWith("[")) return "an array";
    const token = rest.startsWith('"')
      ? /^"(?:[^"\\]|\\.)*"?/s.exec(rest)?.[0]
      : /^[^\s,:"[\]{}]+/.exec(rest)?.[0];
    return shorten(token ?? rest.slice(0, 1)).toWellFormed();
  }
}

/** The step to a member that no field is known for. */
export function unknownStep(name: string): PathStep {
  return { name: shorten(name) };
}

/** Cuts a piece of the caller's text to what an error may repeat. */
function shorten(text: string): string {
  return text.length <= excerptLength ? text : `${text.slice(0, excerptLength)}…`;
}
