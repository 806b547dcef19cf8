import {
  create,
  fromJson,
  ScalarType,
  setExtension,
  type DescExtension,
  type DescField,
  type DescMessage,
  type FileRegistry,
  type JsonObject,
  type JsonValue,
} from "@bufbuild/protobuf";
import {
  EnumOptionsSchema,
  FieldOptionsSchema,
  MessageOptionsSchema,
  MethodOptionsSchema,
  ServiceOptionsSchema,
  type FileDescriptorProto,
} from "@bufbuild/protobuf/wkt";
import type * as tree from "protobufjs";

const schemas = {
  message: MessageOptionsSchema,
  field: FieldOptionsSchema,
  enum: EnumOptionsSchema,
  service: ServiceOptionsSchema,
  method: MethodOptionsSchema,
};

/** An option that an extension defines, and the element it is set on. */
export interface CustomOption {
  readonly kind: keyof typeof schemas;
  /** Full name of the element, without a leading dot. */
  readonly element: string;
  /** Name of the extension as the source writes it, for example `google.api.http`. */
  readonly name: string;
  readonly value: unknown;
}

/** The options of one element. */
export interface Options {
  readonly kind: keyof typeof schemas;
  /** Options that descriptor.proto itself defines. */
  readonly init: object;
  readonly custom: readonly CustomOption[];
  readonly jsonName: string | undefined;
  readonly defaultValue: string | undefined;
}

/** Sorts what the parser read into options of descriptor.proto and options of extensions. */
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

/**
 * The files with their custom options set, which takes a registry of the linked files.
 *
 * @throws Error naming the element and the option if no extension has that name or the value does not fit.
 */
export function withCustomOptions(
  files: readonly FileDescriptorProto[],
  options: readonly CustomOption[],
  registry: FileRegistry,
): readonly FileDescriptorProto[] {
  for (const option of options) {
    const extension = findExtension(registry, option);
    const target = optionsOf(registry, option);
    try {
      setExtension(target, extension, valueOf(extension, option.value) as never); // Its type is known at run time.
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`${option.element}: option (${option.name}): ${reason}`, { cause });
    }
  }
  return files;
}

function findExtension(registry: FileRegistry, { name, element, kind }: CustomOption): DescExtension {
  // A name is looked up from the innermost scope outwards, as for types.
  const scope = element.split(".");
  for (; scope.length >= 0; scope.pop()) {
    const extension = registry.getExtension([...scope, name].join("."));
    if (extension?.extendee.typeName === schemas[kind].typeName) return extension;
    if (scope.length === 0) break;
  }
  throw new Error(`${element}: option (${name}): no file defines this option`);
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

function valueOf(extension: DescExtension, value: unknown): unknown {
  if (extension.message !== undefined && extension.fieldKind === "message") {
    return fromJson(extension.message, toJson(extension.message, value));
  }
  // One field of the extension's own kind carries the value through the JSON mapping.
  if (extension.fieldKind === "list") {
    return (Array.isArray(value) ? value : [value]).map((item) => single(extension, item));
  }
  return single(extension, value);
}

function single(extension: DescExtension, value: unknown): unknown {
  if (extension.enum !== undefined && typeof value === "string") {
    return extension.enum.values.find((candidate) => candidate.name === value)?.number;
  }
  if (extension.message !== undefined) return fromJson(extension.message, toJson(extension.message, value));
  switch (extension.scalar) {
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
    case ScalarType.SINT64:
      return BigInt(value as string | number);
    case ScalarType.BYTES:
      return new TextEncoder().encode(String(value));
    default:
      return value;
  }
}

/** The parser's value of a message as JSON: a single entry of a repeated field is not an array there. */
function toJson(schema: DescMessage, value: unknown): JsonObject {
  const json: JsonObject = {};
  for (const [name, item] of Object.entries(value as object)) {
    const field = schema.fields.find((candidate) => candidate.name === name);
    if (field === undefined) throw new Error(`${schema.typeName} has no field ${name}`);
    json[name] =
      field.fieldKind === "list"
        ? (Array.isArray(item) ? item : [item]).map((entry) => itemToJson(field, entry))
        : itemToJson(field, item);
  }
  return json;
}

function itemToJson(field: DescField, value: unknown): JsonValue {
  return field.message === undefined || field.fieldKind === "map"
    ? (value as JsonValue) // Scalars and enum names are the same in both.
    : toJson(field.message, value);
}
