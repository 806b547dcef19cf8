import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { fieldsByName, pathName, pathsOverlap } from "./field-path.ts";
import { hasTextForm, textParser } from "./field-value.ts";
import { mapKeyParser, type TextParser } from "./scalar-text.ts";
import type { TextForms } from "./text-forms.ts";

/** A field that query parameters can set. */
export interface QueryTarget {
  readonly kind: "target";
  /** The path in proto names. */
  readonly name: string;
  /** The singular messages on the way, outermost first. */
  readonly parents: readonly DescField[];
  readonly field: DescField;
  readonly parser: TextParser;
  /** Reads the keys of a map field. */
  readonly keyParser: TextParser<string> | undefined;
  /** The key of the entry in a map, where the name has it behind a dot. */
  readonly key: string | undefined;
  /** The oneofs on the way: their names and which member this path takes. */
  readonly oneofs: readonly OneofChoice[];
}

/** One member of one oneof, by its path. */
export interface OneofChoice {
  readonly oneof: string;
  readonly member: string;
}

/** What the name of a query parameter leads to. */
export type QueryName =
  | QueryTarget
  /** A field that parameters can not set in this way: the client made a mistake. */
  | { readonly kind: "refused"; readonly name: string; readonly description: string }
  /** A field that the path or the body sets: counts as unknown. */
  | { readonly kind: "bound"; readonly name: string }
  /** No field; `message` is where the look-up ended, behind `prefix`. */
  | { readonly kind: "unknown"; readonly message: DescMessage; readonly prefix: string };

/** Which fields query parameters may set, and how deep. */
export interface QueryScope {
  /** Fields that path and body set: neither they nor their parents and children are free. */
  readonly bound: readonly (readonly DescField[])[];
  /** When given, only these top-level fields and what is in them are free. */
  readonly only?: readonly DescField[] | undefined;
  /** The longest path, in fields. */
  readonly maxFieldDepth: number;
  readonly forms: TextForms;
}

/** How many names one resolver remembers: recursive messages have names without end. */
const remembered = 1000;

/** Finds the fields that the names of query parameters mean, and remembers them. */
export class QueryNames {
  readonly #schema: DescMessage;
  readonly #scope: QueryScope;
  readonly #boundOneofs: ReadonlyMap<string, string>;
  readonly #known = new Map<string, QueryName>();

  constructor(schema: DescMessage, scope: QueryScope) {
    this.#schema = schema;
    this.#scope = scope;
    this.#boundOneofs = new Map(
      scope.bound.flatMap((path) => oneofChoices(path).map(({ oneof, member }) => [oneof, member])),
    );
  }

  /** Resolves a name without brackets, for example `page_size` or `filter.author`. */
  resolve(name: string): QueryName {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const found = this.#walk(name);
    // Unknown names and keys are without end: remembering them would let callers fill the memory.
    const lasting = found.kind === "target" ? found.key === undefined : found.kind !== "unknown";
    if (lasting && this.#known.size < remembered) this.#known.set(name, found);
    return found;
  }

  #walk(name: string): QueryName {
    const { maxFieldDepth, forms } = this.#scope;
    const steps = name.split(".", maxFieldDepth + 1);
    if (steps.length > maxFieldDepth) {
      return {
        kind: "refused",
        name: name.slice(0, 100),
        description: `is deeper than ${maxFieldDepth} fields`,
      };
    }
    const path: DescField[] = [];
    let message = this.#schema;
    for (const [index, step] of steps.entries()) {
      const field = fieldsByName(message).get(step);
      if (field === undefined) return { kind: "unknown", message, prefix: prefixOf(steps, index) };
      path.push(field);
      if (this.#isBound(path)) return { kind: "bound", name: pathName(path) };
      if (index === steps.length - 1) break;
      if (field.fieldKind === "map" && forms.dottedMapKeys) {
        return this.#target(path, steps.slice(index + 1).join("."));
      }
      const obstacle = whyNoWay(field);
      if (obstacle !== undefined) return { kind: "refused", name: pathName(path), description: obstacle };
      if (field.message === undefined) return { kind: "unknown", message, prefix: prefixOf(steps, index) };
      message = field.message;
    }
    return this.#target(path);
  }

  #target(path: readonly DescField[], key?: string): QueryName {
    const name = pathName(path);
    const field = path.at(-1);
    if (field === undefined) throw new TypeError("a name has at least one step");
    if (this.#scope.bound.some((bound) => pathsOverlap(bound, path))) return { kind: "bound", name };
    const oneofs = oneofChoices(path);
    if (oneofs.some(({ oneof, member }) => (this.#boundOneofs.get(oneof) ?? member) !== member)) {
      return { kind: "bound", name };
    }
    const parser = textParser(field, this.#scope.forms);
    if (parser === undefined)
      return { kind: "refused", name, description: whyNoText(field, name, this.#scope.forms) };
    const keyParser = field.fieldKind === "map" ? mapKeyParser(field.mapKey) : undefined;
    return { kind: "target", name, parents: path.slice(0, -1), field, parser, keyParser, key, oneofs };
  }

  /** Whether path or body set this very field, or everything. */
  #isBound(path: readonly DescField[]): boolean {
    const { bound, only } = this.#scope;
    const [first] = path;
    if (only !== undefined && first !== undefined && !only.includes(first)) return true;
    return bound.some((fields) => fields.length <= path.length && pathsOverlap(fields, path));
  }
}

function oneofChoices(path: readonly DescField[]): OneofChoice[] {
  return path.flatMap((field, index) => {
    if (field.oneof === undefined) return [];
    const parent = pathName(path.slice(0, index));
    return [{ oneof: `${parent}/${field.oneof.name}`, member: field.name }];
  });
}

function prefixOf(steps: readonly string[], index: number): string {
  return steps
    .slice(0, index)
    .map((step) => `${step}.`)
    .join("");
}

/** Why a path can not go on behind this field; undefined where it can, or where nothing is behind it. */
function whyNoWay(field: DescField): string | undefined {
  if (field.fieldKind === "list") return "a name can not lead through a repeated field";
  if (field.fieldKind === "map") return "a name can not lead through a map field";
  if (isAny(field)) return noAny;
  if (field.fieldKind === "message" && hasTextForm(field.message)) {
    return `a ${field.message.typeName} is written as one value, not field by field`;
  }
  return undefined;
}

function whyNoText(field: DescField, name: string, forms: TextForms): string {
  if (field.fieldKind === "list") return "a repeated message can not be written in a query";
  if (field.fieldKind === "map") return "a map of messages can not be written in a query";
  if (isAny(field)) return noAny;
  const way = field.message && wayToText(field.message, forms, maxHintDepth);
  if (way === undefined) return `a ${field.message?.typeName ?? "value"} can not be written in a query`;
  return `a message can not be written as one value: name one of its fields, such as ${name}.${way}`;
}

/** Its fields would let in types that no registry has checked. */
function isAny(field: DescField): boolean {
  return field.message?.typeName === AnySchema.typeName;
}

const noAny = "a google.protobuf.Any can not be written in a query";
/** How deep a hint may lead, in fields. */
const maxHintDepth = 4;

/** The name of a field in a message that a parameter can set, the nearest one; undefined where there is none. */
function wayToText(message: DescMessage, forms: TextForms, depth: number): string | undefined {
  if (depth === 0) return undefined;
  const { fields } = message;
  const direct = fields.find((field) => textParser(field, forms) !== undefined);
  if (direct !== undefined) return direct.name;
  for (const field of fields) {
    if (field.message === undefined || field.fieldKind !== "message" || whyNoWay(field) !== undefined)
      continue;
    const way = wayToText(field.message, forms, depth - 1);
    if (way !== undefined) return `${field.name}.${way}`;
  }
  return undefined;
}
