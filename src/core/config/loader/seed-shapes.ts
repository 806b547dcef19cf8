import { pathText } from "./bound.ts";
import type { Problems } from "./config-error.ts";
import type { KeySection } from "./key-tree.ts";
import type { SourceEntry, SourceMap, SourceNode } from "./source-node.ts";

/** The keys of `communication`, and those that they mean. */
const communicationKeys: Readonly<Record<string, readonly [section: string, key: string]>> = {
  default_provider: ["app", "default_server"],
  max_connections: ["app", "max_connections"],
  retry_attempts: ["clients", "retry_attempts"],
  retry_delay: ["clients", "retry_delay"],
  timeout: ["clients", "timeout"],
};

/**
 * A file with the sections of older shapes where they are now: `communication.providers.X` and `providers.X` are `X`,
 * the other keys of `communication` are those of `app` and `clients`.
 *
 * A section may come from several places of the file as long as no key is in two of them.
 */
export function withoutSeedShapes(root: SourceMap, section: KeySection, problems: Problems): SourceMap {
  if (!root.entries.some(({ key }) => key === "communication" || key === "providers")) return root;
  const moved = new Moved(section, problems);
  for (const [index, entry] of root.entries.entries()) {
    if (entry.key === "communication") moved.communication(entry);
    else if (entry.key === "providers") moved.providers(entry, ["providers"], root.entries[index + 1]);
    else moved.add(entry);
  }
  return { ...root, entries: moved.entries };
}

class Moved {
  readonly entries: SourceEntry[] = [];
  readonly #section: KeySection;
  readonly #problems: Problems;

  constructor(section: KeySection, problems: Problems) {
    this.#section = section;
    this.#problems = problems;
  }

  communication({ value, place }: SourceEntry): void {
    const entries = this.#entriesOf(value, ["communication"], place.at);
    for (const [index, entry] of entries.entries()) {
      const target = Object.hasOwn(communicationKeys, entry.key) ? communicationKeys[entry.key] : undefined;
      if (entry.key === "providers") {
        this.providers(entry, ["communication", "providers"], entries[index + 1]);
      } else if (target === undefined) {
        this.#problems.add(entry.place.at, `communication: unknown key ${JSON.stringify(entry.key)}`);
      } else {
        const [name, key] = target;
        this.#merge({
          key: name,
          place: entry.place,
          value: { kind: "map", place: entry.place, entries: [{ ...entry, key }] },
        });
      }
    }
  }

  providers({ value, place }: SourceEntry, path: readonly string[], next: SourceEntry | undefined): void {
    const isEmpty = value.kind === "scalar" && value.isImplicit === true;
    if (isEmpty && next !== undefined && !this.#section.spellings.has(next.key)) {
      this.#problems.add(
        place.at,
        `${pathText(path)}: the section is empty, and keys follow at its own indentation: they must be indented`,
      );
    }
    for (const entry of this.#entriesOf(value, path, place.at)) this.#merge(entry);
  }

  /** An entry of the root itself. */
  add(entry: SourceEntry): void {
    const before = this.entries.find(({ key }) => key === entry.key);
    // Given twice in the root itself is a mistake that is found where keys are read.
    if (before === undefined || !this.#isMoved.has(before)) this.entries.push(entry);
    else this.#merge(entry);
  }

  readonly #isMoved = new Set<SourceEntry>();

  #merge(entry: SourceEntry): void {
    const index = this.entries.findIndex(({ key }) => key === entry.key);
    const before = this.entries[index];
    const value = before === undefined ? undefined : together(before.value, entry.value);
    const merged = before === undefined || value === undefined ? entry : { ...before, value };
    if (before === undefined || value === undefined) this.entries.push(merged);
    else this.entries[index] = merged;
    this.#isMoved.add(merged);
  }

  #entriesOf(value: SourceNode, path: readonly string[], at: string): readonly SourceEntry[] {
    if (value.kind === "map") return value.entries;
    const isNothing = value.kind === "broken" || (value.kind === "scalar" && value.value === null);
    if (!isNothing) this.#problems.add(at, `${pathText(path)}: expected a section with keys`);
    return [];
  }
}

/** Both maps as one: keys that are in both are found where they are read. */
function together(a: SourceNode, b: SourceNode): SourceNode | undefined {
  if (a.kind !== "map" || b.kind !== "map") return undefined;
  const entries: SourceEntry[] = [...a.entries];
  for (const entry of b.entries) {
    const index = entries.findIndex(({ key }) => key === entry.key);
    const before = entries[index];
    const value = before === undefined ? undefined : together(before.value, entry.value);
    if (before === undefined || value === undefined) entries.push(entry);
    else entries[index] = { ...before, value };
  }
  return { ...a, entries };
}
