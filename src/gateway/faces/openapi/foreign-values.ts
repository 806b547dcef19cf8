import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { isMembers } from "../../../core/codec/json-members.ts";

/** A part of an option in JSON as an object; an empty one for anything else. */
export function objectOf(value: unknown): JsonObject {
  return isMembers(value) ? (value as JsonObject) : {}; // Part of an option in JSON.
}

/** A part of an option in JSON as a list; an empty one for anything else. */
export function listOf(value: JsonValue | undefined): JsonValue[] {
  return Array.isArray(value) ? value : [];
}

/** A part of an option in JSON as a text; an empty one for anything else. */
export function textOf(value: JsonValue | undefined): string {
  return typeof value === "string" ? value : "";
}

/** The members of a map of gnostic, which has them as a list of names and values. */
export function namedOf(map: JsonObject): [string, JsonValue][] {
  return listOf(map["additionalProperties"]).map((one) => {
    const { name, value } = objectOf(one);
    return [textOf(name), value ?? null];
  });
}
