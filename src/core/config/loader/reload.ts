import { pathText, type Bound, type BoundMap, type BoundSection } from "./bound.ts";
import type { Path } from "./bind.ts";
import { defaultPlace } from "./complete.ts";
import type { KeyField, KeySection } from "./key-tree.ts";

/** What a reload makes of a configuration that was read again. */
export interface Reloaded {
  /** The new values of keys that a reload takes, those in use of all others. */
  readonly tree: BoundSection;
  /** The keys whose new values are taken. */
  readonly changed: readonly string[];
  /** The keys that differ from what is in use and stay as they are. */
  readonly restartNeeded: readonly string[];
}

/** Takes from `next` what a reload takes, and all else from `current`. */
export function reloaded(current: BoundSection, next: BoundSection, root: KeySection): Reloaded {
  const changes: Changes = { changed: [], restartNeeded: [] };
  const tree = sectionOf(current, next, root, [], changes);
  return { tree, ...changes };
}

interface Changes {
  readonly changed: string[];
  readonly restartNeeded: string[];
}

function sectionOf(
  current: BoundSection,
  next: BoundSection,
  section: KeySection,
  path: Path,
  changes: Changes,
): BoundSection {
  const keys = new Map<string, Bound>();
  for (const key of section.fields) {
    const value = keyOf(
      current.keys.get(key.name),
      next.keys.get(key.name),
      key,
      [...path, key.name],
      changes,
    );
    if (value !== undefined) keys.set(key.name, value);
  }
  return { ...next, keys };
}

function keyOf(
  current: Bound | undefined,
  next: Bound | undefined,
  key: KeyField,
  path: Path,
  changes: Changes,
): Bound | undefined {
  const { section, reload } = key;
  // A key may take a new value though its section as a whole does not.
  if (section !== undefined && current?.kind === "section" && next?.kind === "section") {
    return sectionOf(current, next, section, path, changes);
  }
  if (current?.kind === "map" && next?.kind === "map") return mapOf(current, next, key, path, changes);
  if (isSame(current, next)) return next;
  const takes = reload || (section !== undefined && isTaken(current ?? next, section));
  (takes ? changes.changed : changes.restartNeeded).push(pathText(path));
  return takes ? next : current;
}

/**
 * Whether a reload takes a section that comes or goes: all that sources say in it are keys that a reload takes. Otherwise
 * the section would be in use with half of its keys.
 */
function isTaken(bound: Bound | undefined, section: KeySection): boolean {
  if (bound?.kind !== "section") return false;
  return section.fields.some(({ reload }) => reload) && isAllTaken(bound, section);
}

function isAllTaken(bound: BoundSection, section: KeySection): boolean {
  return section.fields.every((key) => {
    const value = bound.keys.get(key.name);
    if (key.reload || value === undefined || value.place.origin === defaultPlace.origin) return true;
    return key.section !== undefined && value.kind === "section" && isAllTaken(value, key.section);
  });
}

function mapOf(current: BoundMap, next: BoundMap, key: KeyField, path: Path, changes: Changes): BoundMap {
  const entries: BoundMap["entries"] = new Map();
  for (const name of new Set([...current.entries.keys(), ...next.entries.keys()])) {
    const value = keyOf(
      current.entries.get(name),
      next.entries.get(name),
      { ...key, shape: "single" },
      [...path, name],
      changes,
    );
    if (value !== undefined && value.kind !== "list" && value.kind !== "map") entries.set(name, value);
  }
  return { ...next, entries };
}

/** Whether both mean the same, wherever it comes from. */
function isSame(a: Bound | undefined, b: Bound | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  switch (a.kind) {
    case "value":
      return b.kind === "value" && a.value === b.value;
    case "list":
      return (
        b.kind === "list" &&
        a.items.length === b.items.length &&
        a.items.every((item, index) => isSame(item, b.items[index]))
      );
    case "section":
      return b.kind === "section" && areSame(a.keys, b.keys);
    case "map":
      return b.kind === "map" && areSame(a.entries, b.entries);
    case "reset":
      return b.kind === "reset";
  }
}

function areSame(a: ReadonlyMap<string, Bound>, b: ReadonlyMap<string, Bound>): boolean {
  return a.size === b.size && [...a].every(([name, value]) => isSame(value, b.get(name)));
}
