import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

/** The members of two objects, where objects in both are laid over one another too. */
export function laidOver(below: JsonObject, above: JsonObject): JsonObject {
  const result: Record<string, JsonValue> = { ...below };
  for (const [name, value] of Object.entries(above)) {
    const before = result[name];
    result[name] = isObject(before) && isObject(value) ? laidOver(before, value) : value;
  }
  return result;
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
