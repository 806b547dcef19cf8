import type { DescField } from "@bufbuild/protobuf";

/** A JSON object as `JSON.parse` gives it; its members are own properties, `__proto__` too. */
export type JsonMembers = Readonly<Record<string, unknown>>;

/**
 * The value of a JSON text that a reader has accepted already, for code that needs the members that were present:
 * a message does not distinguish an absent one from a default. Numbers may be rounded.
 */
export function parseMembers(text: string): unknown {
  return JSON.parse(text);
}

/** Whether a JSON value is an object. */
export function isMembers(value: unknown): value is JsonMembers {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The member that sets `field`, under either of its names; undefined where there is none. */
export function memberOf(members: JsonMembers, field: DescField): unknown {
  if (Object.hasOwn(members, field.jsonName)) return members[field.jsonName];
  return Object.hasOwn(members, field.name) ? members[field.name] : undefined;
}

/** Whether the members lead along `path` to a value that is there and not `null`. */
export function hasMemberAt(value: unknown, path: readonly DescField[]): boolean {
  let current = value;
  for (const field of path) current = isMembers(current) ? memberOf(current, field) : undefined;
  return current !== undefined && current !== null;
}
