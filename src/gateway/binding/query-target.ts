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
  /** The singular message fields that lead to it, outermost first. */
  readonly parents: readonly DescField[];
  readonly field: DescField;
  readonly parser: TextParser;
  /** Parser for the keys of a map field. */
  readonly keyParser: TextParser<string> | undefined;
  /** The key of a map entry, if it is part of the name, after a dot. */
  readonly key: string | undefined;
  /** The oneofs along the path, each with the member that the path uses. */
  readonly oneofs: readonly OneofChoice[];
}

/** One member of one oneof, by its path. */
export interface OneofChoice {
  readonly oneof: string;
  readonly member: string;
}

/** The result of resolving the name of a query parameter. */
export type QueryName =
  | QueryTarget
  /** A field that parameters cannot set in this way: an error of the client. */
  | { readonly kind: "refused"; readonly name: string; readonly description: string }
  /** A field that the path or the body sets: treated as unknown. */
  | { readonly kind: "bound"; readonly name: string }
  /** No field: `message`, at `prefix`, has no field of the next name. */
  | { readonly kind: "unknown"; readonly message: DescMessage; readonly prefix: string };

/** The fields that query parameters may set. */
export interface QueryScope {
  /** Fields that path and body set: the query may set neither them nor their parents or children. */
  readonly bound: readonly (readonly DescField[])[];
  /** If given, the query may set only these top-level fields and the fields inside them. */
  readonly only?: readonly DescField[] | undefined;
  /** Most fields in a path. */
  readonly maxFieldDepth: number;
  readonly forms: TextForms;
}

/** Most names that one resolver caches: recursive messages have unlimited names. */
const maxCachedNames = 1000;

/** Resolves the names of query parameters to fields, with a cache. */
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
    // Unknown names and map keys are not cached: clients could fill the memory with them.
    const lasting = found.kind === "target" ? found.key === undefined : found.kind !== "unknown";
    if (lasting && this.#known.size < maxCachedNames) this.#known.set(name, found);
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

  /** Whether the path or body sets exactly this field or a field around it, or `only` excludes it. */
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

/** The reason why a path cannot continue after this field. Undefined if it can, or if the field has no fields. */
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

/** `Any` is not supported: setting its fields would allow types that are not in the registry. */
function isAny(field: DescField): boolean {
  return field.message?.typeName === AnySchema.typeName;
}

const noAny = "a google.protobuf.Any can not be written in a query";
/** Most fields in the path of a hint. */
const maxHintDepth = 4;

/** The path to the nearest field in a message that a parameter can set; undefined if there is none. */
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
