import type { DescField, DescMessage } from "@bufbuild/protobuf";

/** Whether this process may turn text into functions; flags of Node and policies of hosts forbid it. */
export const codeIsAllowed: boolean = probe();

function probe(): boolean {
  try {
    return generateFunction({ one: 1 }, "return one") === 1;
  } catch {
    return false;
  }
}

/**
 * Runs a text as the body of a function whose parameters are the names of `bindings`, and returns what it returns.
 *
 * The text has to come from descriptors only, with every name of theirs as a literal of {@link literal}: what a contract
 * calls its fields must never become code. Throws where {@link codeIsAllowed} is false.
 */
export function generateFunction(bindings: Readonly<Record<string, unknown>>, body: string): unknown {
  // oxlint-disable-next-line typescript/no-implied-eval -- The one place that makes code, from descriptors only.
  const make = new Function(...Object.keys(bindings), `"use strict";\n${body}`) as (
    ...values: unknown[]
  ) => unknown;
  return make(...Object.values(bindings));
}

/** A text as a literal of JavaScript, in ASCII. */
export function literal(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The property of an object as an expression. */
export function property(object: string, name: string): string {
  return `${object}[${literal(name)}]`;
}

/** Code that declares a flag for each oneof of a message: whether a member of it was taken. */
export function declareOneofs(desc: DescMessage): string {
  return desc.oneofs.map((_, index) => `let o${index} = false;`).join(" ");
}

/** Code that raises the flag of the oneof that a field is a member of, if any; a second member is irregular. */
export function takeOneof({ oneof, parent }: DescField): string {
  if (oneof === undefined) return "";
  const flag = `o${parent.oneofs.indexOf(oneof)}`;
  return `if (${flag}) throw irregular; ${flag} = true;`;
}

/** A generated function of one message type or field. Other generated code binds this object, since `run` changes once. */
export interface Generated<Run> {
  run: Run;
}

/**
 * The generated functions of all message types, or of fields. Each is generated at its first run, so that a large
 * contract costs what is used of it and recursive types end.
 */
export function generatedPerType<
  Run extends (...input: never[]) => unknown,
  Desc extends DescMessage | DescField = DescMessage,
>(generate: (desc: Desc) => Run): (desc: Desc) => Generated<Run> {
  const known = new WeakMap<Desc, Generated<Run>>();
  return (desc) => {
    let found = known.get(desc);
    if (found === undefined) {
      const first = (...input: Parameters<Run>): unknown => {
        made.run = generate(desc);
        return made.run(...input);
      };
      const made: Generated<Run> = { run: first as Run }; // It passes all of its input on.
      found = made;
      known.set(desc, found);
    }
    return found;
  };
}

/** The lines and values of a function that is being generated. */
export class CodeBuilder {
  readonly #lines: string[] = [];
  readonly #bindings: Record<string, unknown>;
  readonly #names = new Map<unknown, string>();

  /** `bindings` are the values that all code of a kind uses, by their names. */
  constructor(bindings: Readonly<Record<string, unknown>>) {
    this.#bindings = { ...bindings };
  }

  add(...lines: readonly string[]): void {
    this.#lines.push(...lines);
  }

  /** A name by which the code can use a value. */
  bind(value: unknown): string {
    let name = this.#names.get(value);
    if (name === undefined) {
      name = `$${this.#names.size}`;
      this.#names.set(value, name);
      this.#bindings[name] = value;
    }
    return name;
  }

  /** A name that nothing else has. */
  unique(): string {
    const name = `$${this.#names.size}`;
    this.#names.set(Symbol(name), name);
    return name;
  }

  /** What the code returns when it is run. */
  run(): unknown {
    return generateFunction(this.#bindings, this.#lines.join("\n"));
  }
}
