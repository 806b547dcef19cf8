import type { DescField, JsonObject, JsonValue } from "@bufbuild/protobuf";

/** The JSON of a field, which is reached through singular messages; undefined where it, or one of those, is not set. */
export function jsonAt(fields: readonly DescField[], json: JsonObject): JsonValue | undefined {
  let value: JsonValue | undefined = json;
  for (const { jsonName } of fields) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    value = Object.hasOwn(value, jsonName) ? value[jsonName] : undefined;
  }
  return value;
}

/**
 * The JSON of a message without a field. Messages around the field that have nothing else go with it: the
 * reader of the field makes them.
 */
export function jsonWithout([field, ...inner]: readonly DescField[], json: JsonObject): JsonObject {
  if (field === undefined || !Object.hasOwn(json, field.jsonName)) return json;
  const { [field.jsonName]: value, ...rest } = json;
  if (inner.length === 0 || typeof value !== "object" || value === null || Array.isArray(value)) return rest;
  const left = jsonWithout(inner, value);
  if (left === value) return json;
  return Object.keys(left).length === 0 ? rest : { ...json, [field.jsonName]: left };
}
