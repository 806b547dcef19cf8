import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { isMembers } from "../../../core/codec/json-members.ts";

/** The members of two objects, where objects in both are laid over one another too. */
export function laidOver(below: JsonObject, above: JsonObject): JsonObject {
  const result: Record<string, JsonValue> = { ...below };
  for (const [name, value] of Object.entries(above)) {
    const before = result[name];
    result[name] = isMembers(before) && isMembers(value) ? laidOver(before, value) : value;
  }
  return result;
}
