import type { Bound, BoundMap, BoundSection } from "./bound.ts";

/**
 * A section with another on top: sections and maps are merged key by key, all else is replaced. Null gives a key the
 * value of `base`, or none.
 *
 * @param base what was there before the first file
 */
export function merge(
  below: BoundSection,
  above: BoundSection,
  base: BoundSection | undefined,
): BoundSection {
  const keys = new Map(below.keys);
  for (const [name, value] of above.keys) {
    const merged = mergeKey(keys.get(name), value, base?.keys.get(name));
    if (merged === undefined) keys.delete(name);
    else keys.set(name, merged);
  }
  return { ...above, keys };
}

function mergeKey(below: Bound | undefined, above: Bound, base: Bound | undefined): Bound | undefined {
  switch (above.kind) {
    case "reset":
      return base;
    case "section":
      return merge(
        below?.kind === "section" ? below : nothing(above),
        above,
        base?.kind === "section" ? base : undefined,
      );
    case "map": {
      const entries: BoundMap["entries"] = new Map(below?.kind === "map" ? below.entries : []);
      const baseEntries = base?.kind === "map" ? base.entries : undefined;
      for (const [name, value] of above.entries) {
        const merged = mergeKey(entries.get(name), value, baseEntries?.get(name));
        if (merged === undefined || merged.kind === "list" || merged.kind === "map") entries.delete(name);
        else entries.set(name, merged);
      }
      return { ...above, entries };
    }
    default:
      return above;
  }
}

function nothing(section: BoundSection): BoundSection {
  return { ...section, keys: new Map() };
}

/** The layers as one. @param layers the later win; `before` of them are those before the first file */
export function mergeAll(layers: readonly BoundSection[], before: number): BoundSection {
  let merged: BoundSection = { kind: "section", keys: new Map(), place: { at: "", origin: "" } };
  let base: BoundSection | undefined;
  for (const [index, layer] of layers.entries()) {
    if (index === before) base = merged;
    merged = merge(merged, layer, base);
  }
  return merged;
}
