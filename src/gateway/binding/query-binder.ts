import type { DescMessage, Message } from "@bufbuild/protobuf";
import { type Fields, setOwn } from "../../core/codec/field-shape.ts";
import type { FieldViolation } from "../../core/errors/errors.ts";
import { getField, messageAt, setField } from "./field-path.ts";
import { unexpectedText } from "./scalar-text.ts";
import { nearestName } from "../../core/errors/nearest-name.ts";
import type { QueryParameter } from "../http/query.ts";
import { type QueryName, QueryNames, type QueryScope, type QueryTarget } from "./query-target.ts";
import { isSystemParameter } from "./system-parameters.ts";
import type { TextForms } from "./text-forms.ts";

/** Options for query parameters that name no field which the query may set. */
export interface QueryBinderOptions {
  /** Unknown parameters are ignored and reported, or rejected with one violation per name. Default `ignore`. */
  readonly unknownQuery: "ignore" | "reject";
  /** Unknown names of enum values: rejected, or ignored and reported if unknown parameters are. */
  readonly unknownEnums: "reject" | "ignore";
  /** Whether the system parameters of Google's APIs (`$alt`, `prettyPrint`, …) are known. Default false. */
  readonly systemParameters: boolean;
  /** Names of unknown parameters that are ignored without a report, regardless of `unknownQuery`. Default none. */
  readonly allowedQuery: readonly string[];
  /** Called with the name of every parameter that is ignored as unknown, as the client wrote it. */
  readonly onIgnored?: ((name: string) => void) | undefined;
}

/**
 * Sets the fields of a request message from query parameters; compiled once for a route.
 *
 * Names are looked up segment by segment, as JSON names first, then as proto names. Lists are written by repeating the
 * name, maps as `labels[key]=value`. Problems are added to `violations`, with proto paths.
 */
export class QueryBinder {
  readonly #schema: DescMessage;
  readonly #names: QueryNames;
  readonly #options: QueryBinderOptions;
  readonly #forms: TextForms;
  readonly #allowed: ReadonlySet<string>;

  constructor(schema: DescMessage, scope: QueryScope, options: QueryBinderOptions) {
    this.#schema = schema;
    this.#names = new QueryNames(schema, scope);
    this.#forms = scope.forms;
    this.#allowed = new Set(options.allowedQuery);
    this.#options = options;
  }

  /** Binds `parameters` to `message`. */
  bind(parameters: readonly QueryParameter[], message: Message, violations: FieldViolation[]): void {
    const { unknownQuery, unknownEnums, onIgnored } = this.#options;
    const drop = unknownEnums === "ignore" && unknownQuery === "ignore" ? (onIgnored ?? nothing) : undefined;
    const binding = new Binding(message, this.#forms, violations, drop);
    for (const { name, value } of parameters) {
      binding.parameter = name;
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
    if (this.#allowed.has(name) || !binding.firstTime(name)) return;
    if (this.#options.unknownQuery === "ignore") this.#options.onIgnored?.(name);
    else binding.refuse(printable(name), whyUnknown(name, found));
  }
}

/** The state of binding the parameters of one request. */
class Binding {
  readonly #message: Message;
  readonly #forms: TextForms;
  readonly #violations: FieldViolation[];
  readonly #drop: ((parameter: string) => void) | undefined;
  /** The name of the current parameter, as the client wrote it. */
  parameter = "";
  #set: Set<string> | undefined;
  #skipped: Set<string> | undefined;
  #choices: Map<string, string> | undefined;

  /**
   * @param drop called with the name of a parameter that is dropped because of an unknown enum name; undefined to
   * reject these
   */
  constructor(
    message: Message,
    forms: TextForms,
    violations: FieldViolation[],
    drop: ((parameter: string) => void) | undefined,
  ) {
    this.#drop = drop;
    this.#message = message;
    this.#forms = forms;
    this.#violations = violations;
  }

  refuse(field: string, description: string): void {
    this.#violations.push({ field, description });
  }

  /** Whether this name of an unknown parameter occurs for the first time. */
  firstTime(name: string): boolean {
    this.#skipped ??= new Set();
    return this.#skipped.size !== this.#skipped.add(name).size;
  }

  /** Sets one value. `brackets` is the part of the parameter's name from the first `[` on. */
  set(target: QueryTarget, brackets: string | undefined, text: string): void {
    if (target.keyParser !== undefined) return this.#setEntry(target, brackets, text);
    if (target.field.fieldKind === "list") return this.#setElements(target, brackets, text);
    if (brackets !== undefined) return this.refuse(target.name, "is no map and takes no key in brackets");
    if (!this.#claim(target.name)) return this.refuse(target.name, "is given twice and takes one value");
    const value = this.#parse(target, target.name, text);
    const parent = value === undefined ? undefined : this.#parent(target);
    if (parent !== undefined) setField(parent, target.field, value);
  }

  #setElements(target: QueryTarget, brackets: string | undefined, text: string): void {
    const { name, field } = target;
    if (brackets !== undefined && !(brackets === "[]" && this.#forms.bracketLists)) {
      return this.refuse(name, `repeat the name for each value: ${name}=a&${name}=b`);
    }
    for (const element of this.#forms.commaLists ? text.split(",") : [text]) {
      const value = this.#parse(target, name, element);
      const parent = value === undefined ? undefined : this.#parent(target);
      if (parent === undefined) return;
      (getField(parent, field) as unknown[]).push(value); // A list field holds an array.
    }
  }

  #setEntry(target: QueryTarget, brackets: string | undefined, text: string): void {
    const { name, field, keyParser } = target;
    const inner = keyIn(target.key, brackets);
    if (keyParser === undefined || inner === undefined) {
      return this.refuse(name, `a map takes one key in brackets: ${name}[key]=value`);
    }
    const path = `${name}[${JSON.stringify(printable(inner))}]`;
    const key = keyParser.parse(inner);
    if (key === undefined) return this.refuse(path, `the key: ${unexpectedText(keyParser, inner)}`);
    if (!this.#claim(`${name}[${key}]`)) return this.refuse(path, "is given twice and takes one value");
    const value = this.#parse(target, path, text);
    const parent = value === undefined ? undefined : this.#parent(target);
    if (parent !== undefined) setOwn(getField(parent, field) as Fields, key, value); // A map field holds an object.
  }

  /** Parses a value. Returns undefined for an invalid text, after it has added a violation or dropped the parameter. */
  #parse({ parser }: QueryTarget, path: string, text: string): unknown {
    const value = parser.parse(text);
    if (value !== undefined) return value;
    if (this.#drop !== undefined && parser.isName?.(text) === true) this.#drop(this.parameter);
    else this.refuse(path, unexpectedText(parser, text));
    return undefined;
  }

  /**
   * The message that contains the field. Returns undefined, after it has added a violation, if another member of a
   * oneof was set.
   */
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

function nothing(): void {}

/** The key after a dot or in `[key]`; undefined for anything else, such as two keys or a path after the key. */
function keyIn(dotted: string | undefined, brackets: string | undefined): string | undefined {
  if (brackets === undefined) return dotted;
  if (dotted !== undefined) return undefined;
  if (!brackets.endsWith("]") || brackets.includes("][") || brackets.includes("].")) return undefined;
  return brackets.slice(1, -1);
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

/** A name from the client, truncated for an error message. */
function printable(name: string): string {
  return name.length <= 100 ? name : `${name.slice(0, 100)}…`.toWellFormed();
}
