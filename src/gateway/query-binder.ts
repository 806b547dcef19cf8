import type { DescMessage, Message } from "@bufbuild/protobuf";
import { type Fields, setOwn } from "../core/codec/field-shape.ts";
import type { FieldViolation } from "../core/errors.ts";
import { getField, messageAt, setField } from "./field-path.ts";
import { unexpectedText } from "./field-value.ts";
import { nearestName } from "./nearest-name.ts";
import type { QueryParameter } from "./query.ts";
import { mapKey, type QueryName, QueryNames, type QueryScope, type QueryTarget } from "./query-target.ts";
import { isSystemParameter } from "./system-parameters.ts";

/** What happens to query parameters that the request message has no free field for. */
export interface QueryBinderOptions {
  /** Unknown parameters are skipped and reported, or refused with one violation per name. Default `ignore`. */
  readonly unknownQuery: "ignore" | "reject";
  /** Whether the system parameters of Google's APIs (`$alt`, `prettyPrint`, …) are known. Default false. */
  readonly systemParameters: boolean;
  /** Hears the name of every parameter that was skipped as unknown, as the client wrote it. */
  readonly onIgnored?: ((name: string) => void) | undefined;
}

/**
 * Sets the fields of a request message from query parameters; compiled once for a route.
 *
 * Names are looked up segment by segment, as JSON names first, then as proto names. Lists are written by repeating
 * the name, maps as `labels[key]=value`. Whatever is wrong is added to `violations`, with proto paths.
 */
export class QueryBinder {
  readonly #schema: DescMessage;
  readonly #names: QueryNames;
  readonly #options: QueryBinderOptions;

  constructor(schema: DescMessage, scope: QueryScope, options: QueryBinderOptions) {
    this.#schema = schema;
    this.#names = new QueryNames(schema, scope);
    this.#options = options;
  }

  /** Sets what `parameters` say in `message`. */
  bind(parameters: readonly QueryParameter[], message: Message, violations: FieldViolation[]): void {
    const binding = new Binding(message, violations);
    for (const { name, value } of parameters) {
      if (this.#options.systemParameters && isSystemParameter(name, this.#schema)) continue;
      const bracket = name.indexOf("[");
      const found = this.#names.resolve(bracket === -1 ? name : name.slice(0, bracket));
      switch (found.kind) {
        case "target":
          binding.set(found, bracket === -1 ? undefined : name.slice(bracket), value);
          break;
        case "refused":
          binding.refuse(found.name, found.description);
          break;
        default:
          this.#skip(name, found, binding);
      }
    }
  }

  #skip(name: string, found: Exclude<QueryName, QueryTarget>, binding: Binding): void {
    if (!binding.firstTime(name)) return;
    if (this.#options.unknownQuery === "ignore") this.#options.onIgnored?.(name);
    else binding.refuse(printable(name), whyUnknown(name, found));
  }
}

/** What the parameters of one request have set so far. */
class Binding {
  readonly #message: Message;
  readonly #violations: FieldViolation[];
  #set: Set<string> | undefined;
  #skipped: Set<string> | undefined;
  #choices: Map<string, string> | undefined;

  constructor(message: Message, violations: FieldViolation[]) {
    this.#message = message;
    this.#violations = violations;
  }

  refuse(field: string, description: string): void {
    this.#violations.push({ field, description });
  }

  /** Whether this name of an unknown parameter was not there before. */
  firstTime(name: string): boolean {
    this.#skipped ??= new Set();
    return this.#skipped.size !== this.#skipped.add(name).size;
  }

  /** Sets one value; `brackets` is what follows the field's name from the first `[` on. */
  set(target: QueryTarget, brackets: string | undefined, text: string): void {
    if (target.keyParser !== undefined) return this.#setEntry(target, brackets, text);
    if (brackets !== undefined) return this.refuse(target.name, whyNoBrackets(target));
    const repeated = target.field.fieldKind === "list";
    if (!repeated && !this.#claim(target.name))
      return this.refuse(target.name, "is given twice and takes one value");
    const value = target.parser.parse(text);
    if (value === undefined) return this.refuse(target.name, unexpectedText(target.parser, text));
    const parent = this.#parent(target);
    if (parent === undefined) return;
    if (repeated) (getField(parent, target.field) as unknown[]).push(value); // A list field holds an array.
    else setField(parent, target.field, value);
  }

  #setEntry(target: QueryTarget, brackets: string | undefined, text: string): void {
    const { name, field, parser, keyParser } = target;
    const inner = brackets === undefined ? undefined : keyIn(brackets);
    if (keyParser === undefined || inner === undefined) {
      return this.refuse(name, `a map takes one key in brackets: ${name}[key]=value`);
    }
    const path = `${name}[${JSON.stringify(printable(inner))}]`;
    const key = mapKey(keyParser, inner);
    if (key === undefined) return this.refuse(path, `the key: ${unexpectedText(keyParser, inner)}`);
    if (!this.#claim(`${name}[${key}]`)) return this.refuse(path, "is given twice and takes one value");
    const value = parser.parse(text);
    if (value === undefined) return this.refuse(path, unexpectedText(parser, text));
    const parent = this.#parent(target);
    if (parent !== undefined) setOwn(getField(parent, field) as Fields, key, value); // A map field holds an object.
  }

  /** The message that has the field; undefined, with a violation, where another member of a oneof was set. */
  #parent(target: QueryTarget): Message | undefined {
    for (const { oneof, member } of target.oneofs) {
      this.#choices ??= new Map();
      const chosen = this.#choices.get(oneof) ?? member;
      if (chosen !== member) {
        this.refuse(target.name, `another member of the same oneof is given: ${chosen}`);
        return undefined;
      }
      this.#choices.set(oneof, member);
    }
    return target.parents.length === 0 ? this.#message : messageAt(this.#message, target.parents);
  }

  #claim(name: string): boolean {
    this.#set ??= new Set();
    return this.#set.size !== this.#set.add(name).size;
  }
}

/** The key in `[key]`; undefined for anything else, such as two keys or a path behind the key. */
function keyIn(brackets: string): string | undefined {
  if (!brackets.endsWith("]") || brackets.includes("][") || brackets.includes("].")) return undefined;
  return brackets.slice(1, -1);
}

function whyNoBrackets(target: QueryTarget): string {
  if (target.field.fieldKind !== "list") return "is no map and takes no key in brackets";
  return `repeat the name for each value: ${target.name}=a&${target.name}=b`;
}

function whyUnknown(name: string, found: Exclude<QueryName, QueryTarget>): string {
  if (found.kind !== "unknown") return "the path or the body of the request sets this field";
  const { message, prefix } = found;
  const wanted = name.slice(prefix.length).split(/[.[]/, 1)[0] ?? "";
  const names = message.fields.map(({ jsonName }) => jsonName);
  const near = nearestName(wanted, names);
  return near === undefined
    ? "the request has no such field"
    : `the request has no such field; did you mean "${prefix}${near}"?`;
}

/** A name of the caller's choice as an error may repeat it. */
function printable(name: string): string {
  return name.length <= 100 ? name : `${name.slice(0, 100)}…`.toWellFormed();
}
