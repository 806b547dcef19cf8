import type { Place, SourceEntry, SourceMap, SourceNode } from "./source-node.ts";

/**
 * What code says, as a source: names in lowerCamel or as in files, undefined for what it does not say.
 *
 * @param name how errors call it: `defaults`, `overrides`
 */
export function initSource(init: object, name: string): SourceMap {
  return mapOf(init, name, { at: name, origin: name });
}

function nodeOf(value: unknown, path: string, origin: string): SourceNode {
  const place: Place = { at: origin, origin };
  if (Array.isArray(value)) {
    return {
      kind: "list",
      place,
      items: value.map((item: unknown, index) => nodeOf(item, `${path}[${index}]`, origin)),
    };
  }
  if (typeof value === "object" && value !== null) return mapOf(value, path, place);
  if (
    value === null ||
    typeof value === "boolean" ||
    typeof value === "number" ||
    typeof value === "string"
  ) {
    return { kind: "scalar", place, value, text: String(value), isCode: true };
  }
  // A function, a symbol, a bigint: no key takes it.
  return { kind: "list", place, items: [] };
}

function mapOf(init: object, path: string, place: Place): SourceMap {
  const entries = Object.entries(init).flatMap(([key, value]: [string, unknown]): SourceEntry[] => {
    // `$typeName` and `$unknown` are of messages.
    if (value === undefined || key.startsWith("$")) return [];
    return [{ key, place, value: nodeOf(value, `${path}.${key}`, place.origin) }];
  });
  return { kind: "map", place, entries };
}
