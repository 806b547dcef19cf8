import { randomUUID } from "node:crypto";
import type { JsonValue } from "@bufbuild/protobuf";

/** Stands in texts where a reference is; no text of a contract has it. */
const mark = `late ${randomUUID()}`;
const quotedMark = JSON.stringify(mark);

/** The references of the text that is being made; undefined where JSON takes what they are now. */
let found: LateReference<unknown>[] | undefined;

/** A text in a JSON value that is known only later, such as the name of a definition. In JSON it is that text. */
export class LateReference<T> {
  /** What it refers to. */
  readonly subject: T;
  readonly #text: () => string;

  constructor(subject: T, text: () => string) {
    this.subject = subject;
    this.#text = text;
  }

  toJSON(): string {
    if (found === undefined) return this.#text();
    found.push(this);
    return mark;
  }
}

/**
 * A JSON value with late references, as the text that `JSON.stringify(value, null, indent)` gives: thousands of values cost
 * less time and memory as texts than as objects. In JSON it is the value.
 */
export class LateText<T = unknown> {
  /** In the order of the text. */
  readonly references: readonly LateReference<T>[];
  /** With a mark in the place of each reference. */
  readonly #text: string;

  constructor(text: string, references: readonly LateReference<T>[]) {
    this.#text = text;
    this.references = references;
  }

  /** The text, with what references are now. */
  get text(): string {
    if (this.references.length === 0) return this.#text;
    let at = 0;
    return this.#text.replaceAll(quotedMark, () => JSON.stringify(this.references[at++]));
  }

  /** Whether two texts are the same but for what their references are. */
  isLike(other: LateText<T>): boolean {
    return this.#text === other.#text;
  }

  toJSON(): JsonValue {
    return JSON.parse(this.text) as JsonValue; // It was one before.
  }
}

/** The text of a value in which late references may stand, all of them to subjects of one kind. @param indent default: 2 */
export function lateText<T>(value: JsonValue, indent = 2): LateText<T> {
  const references: LateReference<unknown>[] = [];
  const outer = found;
  found = references;
  try {
    return new LateText(JSON.stringify(value, null, indent), references as LateReference<T>[]); // As is said above.
  } finally {
    found = outer;
  }
}
