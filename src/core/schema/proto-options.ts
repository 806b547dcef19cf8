import {
  create,
  fromJson,
  setExtension,
  toJson,
  type DescExtension,
  type FileRegistry,
  type JsonObject,
} from "@bufbuild/protobuf";
import {
  EnumOptionsSchema,
  FieldOptionsSchema,
  isWrapper,
  MessageOptionsSchema,
  MethodOptionsSchema,
  ServiceOptionsSchema,
  StructSchema,
  type FileDescriptorProto,
} from "@bufbuild/protobuf/wkt";
import type * as tree from "protobufjs";
import { SetupError } from "../errors/setup-error.ts";
import { literalOf } from "./proto-text.ts";
import { parseTextMessage, type TextValue } from "./text-format.ts";
import { textToMessage, textToScalar } from "./text-message.ts";

const schemas = {
  message: MessageOptionsSchema,
  field: FieldOptionsSchema,
  enum: EnumOptionsSchema,
  service: ServiceOptionsSchema,
  method: MethodOptionsSchema,
};

/** An option that an extension defines, and the element on which it is set. */
export interface CustomOption {
  readonly kind: keyof typeof schemas;
  /** Full name of the element, without a leading dot. */
  readonly element: string;
  /** Name of the extension as written in the source, for example `google.api.http`. */
  readonly name: string;
  readonly value: unknown;
}

/** The options of one element. */
export interface Options {
  readonly kind: keyof typeof schemas;
  /** Options that descriptor.proto defines. */
  readonly init: object;
  readonly custom: readonly CustomOption[];
  readonly jsonName: string | undefined;
  readonly defaultValue: string | undefined;
}

/** Separates the parsed options of an element into those of descriptor.proto and those of extensions. */
export function readOptions(kind: Options["kind"], object: tree.ReflectionObject): Options {
  const plain: Record<string, unknown> = {};
  const custom: CustomOption[] = [];
  for (const entry of (object.parsedOptions ?? []) as readonly Record<string, unknown>[]) {
    for (const [key, value] of Object.entries(entry)) {
      const name = /^\(\.?(.+)\)$/.exec(key)?.[1];
      if (name === undefined) plain[key] = value;
      else custom.push({ kind, element: object.fullName.replace(/^\./, ""), name, value });
    }
  }
  const { json_name: jsonName, default: defaultValue, features: _, ...rest } = plain;
  return {
    kind,
    init: fromJson(schemas[kind], rest as JsonObject, { ignoreUnknownFields: true }),
    custom,
    jsonName: typeof jsonName === "string" ? jsonName : undefined,
    defaultValue: isScalar(defaultValue) ? String(defaultValue) : undefined,
  };
}

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}

/** Options that the gateway reads: if one of them is malformed, loading fails. */
const ownOptions = /^\.?(?:google\.api\.http|ts_ms\.v1\.\w+)$/;

/**
 * Sets the custom options of `files`, whose types are looked up in a registry of the linked files. Options of other
 * tools that cannot be read are left out.
 *
 * @param literals The values that placeholders in the parsed text refer to, see `prepareSource`.
 * @param warn Called once for each name of an option that is left out.
 * @throws Error naming the element and the option if an option that the gateway reads is malformed
 */
export function withCustomOptions(
  files: readonly FileDescriptorProto[],
  options: readonly CustomOption[],
  registry: FileRegistry,
  literals: readonly string[],
  warn: (message: string) => void,
): readonly FileDescriptorProto[] {
  const warned = new Set<string>();
  for (const same of groupOptions(options)) {
    const [option] = same;
    if (option === undefined) continue;
    try {
      const extension = findExtension(registry, option);
      const values = same.map(({ value }) => toText(value, literals));
      // The type of the value is known at run time.
      setExtension(optionsOf(registry, option), extension, valueOf(extension, values) as never);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const message = `${option.element}: option (${option.name}): ${reason}`;
      if (ownOptions.test(option.name)) throw new SetupError(message, { cause });
      if (!warned.has(option.name))
        warn(`${message}; this option is left out, here and wherever it cannot be read`);
      warned.add(option.name);
    }
  }
  return files;
}

/** Groups the options with one name on one element: a repeated option is written once for each of its values. */
function groupOptions(options: readonly CustomOption[]): Iterable<readonly CustomOption[]> {
  const groups = new Map<string, CustomOption[]>();
  for (const option of options) {
    const key = `${option.kind} ${option.element} ${option.name}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [option]);
    else group.push(option);
  }
  return groups.values();
}

/** The parser's value as text format. The parser makes objects of names with dots, as in `(rule).max.seconds = 5`. */
function toText(value: unknown, literals: readonly string[]): TextValue {
  const literal = literalOf(value, literals);
  if (literal !== undefined) return parseTextMessage(literal);
  if (typeof value === "string") return { kind: "string", bytes: new TextEncoder().encode(value) };
  if (typeof value !== "object" || value === null) return { kind: "word", text: String(value) };
  const fields = Object.entries(value).map(([name, item]: [string, unknown]) => ({
    name,
    values: (Array.isArray(item) ? item : [item]).map((entry) => toText(entry, literals)),
  }));
  return { kind: "message", fields };
}

function findExtension(registry: FileRegistry, { name, element, kind }: CustomOption): DescExtension {
  // A name is looked up from the innermost scope outwards, as for types.
  const scope = element.split(".");
  for (; scope.length >= 0; scope.pop()) {
    const extension = registry.getExtension([...scope, name].join("."));
    if (extension?.extendee.typeName === schemas[kind].typeName) return extension;
    if (scope.length === 0) break;
  }
  throw new Error("no file defines this option");
}

function optionsOf(registry: FileRegistry, { kind, element }: CustomOption) {
  const proto = elementOf(registry, kind, element)?.proto;
  if (proto === undefined) throw new Error(`${element} is not in the linked files`);
  return (proto.options ??= create(schemas[kind]) as never); // Each kind of element has the options of its kind.
}

function elementOf(registry: FileRegistry, kind: CustomOption["kind"], element: string) {
  const parent = element.slice(0, element.lastIndexOf("."));
  const name = element.slice(parent.length + 1);
  switch (kind) {
    case "message":
      return registry.getMessage(element);
    case "enum":
      return registry.getEnum(element);
    case "service":
      return registry.getService(element);
    case "method":
      return registry.getService(parent)?.methods.find((method) => method.name === name);
    case "field":
      return (
        registry.getMessage(parent)?.fields.find((field) => field.name === name) ??
        registry.getExtension(element)
      );
  }
}

function valueOf(extension: DescExtension, values: readonly TextValue[]): unknown {
  const items = values.map((value) => single(extension, value));
  return extension.fieldKind === "list" ? items : items.at(-1);
}

function single(extension: DescExtension, value: TextValue): unknown {
  if (extension.message === undefined) return textToScalar(extension, value, extension.name);
  const message = textToMessage(extension.message, value);
  if (extension.fieldKind === "list") return message;
  // protobuf-es stores wrappers and Struct in another form than as messages.
  if (isWrapper(message)) return message.value;
  return extension.message.typeName === StructSchema.typeName ? toJson(extension.message, message) : message;
}
