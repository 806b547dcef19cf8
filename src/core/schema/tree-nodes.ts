import type * as tree from "protobufjs";

// The parser may be another copy of the library than the one of the types, so `instanceof` would fail: objects are
// distinguished by their shape.

/** Whether an object is a package or a part of its name, which has no descriptor of its own. */
export function isPlainNamespace(object: tree.ReflectionObject): object is tree.Namespace {
  return "nestedArray" in object && !isType(object) && !isService(object);
}

/** Whether an object is a message. */
export function isType(object: tree.ReflectionObject): object is tree.Type {
  return "fieldsArray" in object;
}

/** Whether an object is an enum. */
export function isEnum(object: tree.ReflectionObject): object is tree.Enum {
  return "valuesById" in object;
}

/** Whether an object is a service. */
export function isService(object: tree.ReflectionObject): object is tree.Service {
  return "methodsArray" in object;
}

/** Whether an object is a field or an extension. */
export function isField(object: tree.ReflectionObject): object is tree.Field {
  return "id" in object && "repeated" in object;
}

/** Whether a field is an extension that the parser has added to the fields of the extended message. */
export function isExtensionHome(field: tree.Field): boolean {
  return field.declaringField !== null || field.extend !== undefined;
}

/** Whether the parser has made this oneof for an `optional` field. */
export function isSynthetic(oneof: tree.OneOf): boolean {
  const [only, more] = oneof.fieldsArray;
  return more === undefined && only?.options?.["proto3_optional"] === true;
}

/** The file of a well-known type that is built into the parser. */
export function wellKnownFile(fullName: string): string {
  for (const [name, types] of Object.entries(builtIn)) {
    if (types.test(fullName)) return `google/protobuf/${name}.proto`;
  }
  return "google/protobuf/descriptor.proto";
}

const builtIn: Readonly<Record<string, RegExp>> = {
  any: /\.Any$/,
  duration: /\.Duration$/,
  empty: /\.Empty$/,
  field_mask: /\.FieldMask$/,
  struct: /\.(Struct|Value|NullValue|ListValue)$/,
  timestamp: /\.Timestamp$/,
  wrappers: /\.(Double|Float|U?Int64|U?Int32|Bool|String|Bytes)Value$/,
  api: /\.(Api|Method|Mixin)$/,
  type: /\.(Type|Field|Enum|EnumValue|Option|Syntax)(\.\w+)?$/,
  source_context: /\.SourceContext$/,
};
