import { Unit } from "./key-shape.ts";
import { nearestName } from "../../errors/nearest-name.ts";
import { showDuration } from "../quantity-text.ts";
import { pathText, type Bound, type BoundMap, type BoundSection, type BoundValue } from "./bound.ts";
import type { Problems } from "./config-error.ts";
import type { KeyField, KeySection } from "./key-tree.ts";
import { mask, maskUrl } from "./mask.ts";
import type { Place, SourceEntry, SourceMap, SourceNode, SourceScalar } from "./source-node.ts";
import { readValue } from "./units.ts";

/** A reference without a value, which is a mistake unless a section around it is switched off. */
interface MissingValue {
  /** Of the key. */
  readonly path: Path;
  readonly place: Place;
  readonly problem: string;
}

export type Path = readonly (string | number)[];

/** Gives the keys of a source their meaning, and checks their values. */
export class Binder {
  /** The keys whose mistakes are told, or will be by `tellMissing`. */
  readonly told = new Set<string>();
  readonly #missing: MissingValue[] = [];
  readonly #problems: Problems;

  constructor(problems: Problems) {
    this.#problems = problems;
  }

  /** Tells what references lack, but those of sections that are switched off. @param root all sources as one */
  tellMissing(root: BoundSection): void {
    for (const { path, place, problem } of this.#missing) {
      if (!isSwitchedOff(root, path)) this.#problems.add(place.at, `${pathText(path)}: ${problem}`);
    }
  }

  /** The keys of a map that are fields of a section. */
  section(node: SourceMap, section: KeySection, path: Path): BoundSection {
    const keys = new Map<string, Bound>();
    const places = new Map<string, SourceEntry>();
    let empty: SourceEntry | undefined;
    for (const entry of node.entries) {
      const key = section.spellings.get(entry.key);
      if (key === undefined) {
        if (empty !== undefined) this.#tellEmpty(empty, [...path, empty.key]);
        this.#tellUnknown(entry, section, path);
        continue;
      }
      empty = isEmptySection(entry.value, key) ? entry : undefined;
      const first = places.get(key.name);
      const keyPath = [...path, key.name];
      if (first !== undefined) {
        this.#tellTwice(first, entry, keyPath);
        continue;
      }
      places.set(key.name, entry);
      const bound = this.key(entry.value, key, keyPath);
      if (bound !== undefined) keys.set(key.name, bound);
      else this.told.add(pathText(keyPath));
    }
    return { kind: "section", keys, place: node.place };
  }

  /** What a node says of a key; undefined where it says nothing, or something that is told as a mistake. */
  key(node: SourceNode, key: KeyField, path: Path): Bound | undefined {
    if (node.kind === "broken") return undefined;
    if (node.kind === "scalar" && node.value === null) return { kind: "reset", place: node.place };
    switch (key.shape) {
      case "single":
        return this.#single(node, key, path);
      case "list":
        return this.#list(node, key, path);
      case "map":
        return this.#map(node, key, path);
    }
  }

  #single(node: SourceNode, key: KeyField, path: Path): BoundValue | BoundSection | undefined {
    const { section, option } = key;
    if (section === undefined)
      return node.kind === "scalar" ? this.#value(node, key, path) : this.#wrong(node, key, path);
    if (node.kind === "map") return this.section(node, section, path);
    const short = section.spellings.get(option?.short ?? "");
    if (node.kind !== "scalar" || short === undefined) return this.#wrong(node, key, path);
    const value = this.#value(node, short, path);
    if (value === undefined) return undefined;
    return { kind: "section", keys: new Map([[short.name, value]]), place: node.place };
  }

  #list(node: SourceNode, key: KeyField, path: Path): Bound | undefined {
    if (node.kind !== "list") return this.#wrong(node, key, path);
    const items = node.items.flatMap((item, index) => {
      const itemPath = [...path, index];
      if (item.kind === "scalar" && item.value === null) {
        this.#problems.add(
          item.place.at,
          `${pathText(itemPath)}: expected ${expectedOf(key)}, found nothing`,
        );
        return [];
      }
      return this.#single(item, key, itemPath) ?? [];
    });
    return { kind: "list", items, place: node.place };
  }

  #map(node: SourceNode, key: KeyField, path: Path): BoundMap | undefined {
    if (node.kind !== "map") return this.#wrong(node, key, path);
    const entries: BoundMap["entries"] = new Map();
    const places = new Map<string, SourceEntry>();
    for (const entry of node.entries) {
      const { key: name, value } = entry;
      const entryPath = [...path, name];
      const first = places.get(name);
      if (first !== undefined) {
        this.#tellTwice(first, entry, entryPath);
        continue;
      }
      places.set(name, entry);
      if (name === "") {
        this.#problems.add(entry.place.at, `${pathText(path)}: an entry needs a name`);
        continue;
      }
      if (
        value.kind === "scalar" &&
        value.value === null &&
        !(value.isImplicit === true && key.section !== undefined)
      ) {
        entries.set(name, { kind: "reset", place: value.place });
        continue;
      }
      const isBare = value.kind === "scalar" && value.value === null;
      const bound = isBare
        ? ({ kind: "section", keys: new Map(), place: entry.place } satisfies BoundSection)
        : value.kind === "broken"
          ? undefined
          : this.#single(value, key, entryPath);
      if (bound !== undefined) entries.set(name, bound);
    }
    return { kind: "map", entries, place: node.place };
  }

  #value(node: SourceScalar, key: KeyField, path: Path): BoundValue | undefined {
    const { place, value, text, missing } = node;
    if (missing !== undefined) {
      this.#missing.push({ path, place, problem: missing });
      return undefined;
    }
    if (value === null) return undefined;
    const unit = key.option?.unit ?? Unit.UNSPECIFIED;
    const isPlainText =
      key.type === "text" && unit === Unit.UNSPECIFIED && (key.option?.choices.length ?? 0) === 0;
    // A reference whose value is empty, or a variable of the environment that is.
    if (text === "" && node.hidden === true && !isPlainText) return undefined;
    const read = readValue(key, { value, text, isCode: node.isCode });
    if ("expected" in read) {
      const found = node.hidden === true || key.secret ? "another value" : foundOf(node, unit);
      const hint = read.hint === undefined ? "" : `: ${read.hint}`;
      this.#problems.add(place.at, `${pathText(path)}: expected ${read.expected}, found ${found}${hint}`);
      return undefined;
    }
    return { kind: "value", value: read.value, shown: this.#shown(node, key, unit), place };
  }

  #shown({ value, text, masked = text, isCode }: SourceScalar, key: KeyField, unit: Unit): string {
    if (key.secret) return mask;
    if (isCode === true && unit === Unit.DURATION && typeof value === "number") return showDuration(value);
    return unit === Unit.URL ? maskUrl(masked) : masked;
  }

  #wrong(node: SourceNode, key: KeyField, path: Path): undefined {
    if (node.kind === "broken") return;
    const expected =
      key.shape === "list"
        ? `a list of ${key.section === undefined ? "values" : "sections"}`
        : key.shape === "map"
          ? "names with their values"
          : expectedOf(key);
    const found = node.kind === "list" ? "a list" : node.kind === "map" ? "a section" : "a value";
    this.#problems.add(node.place.at, `${pathText(path)}: expected ${expected}, found ${found}`);
  }

  #tellEmpty(entry: SourceEntry, path: Path): void {
    this.#problems.add(
      entry.place.at,
      `${pathText(path)}: the section is empty, and keys follow at its own indentation: they must be indented`,
    );
  }

  #tellUnknown({ key, place }: SourceEntry, section: KeySection, path: Path): void {
    const names = section.fields.map(({ name }) => name);
    const near = this.#problems.isFull ? undefined : nearestName(key, names);
    const hint = near === undefined ? "" : `, did you mean "${near}"?`;
    const where = path.length === 0 ? "" : `${pathText(path)}: `;
    this.#problems.add(place.at, `${where}unknown key ${JSON.stringify(key)}${hint}`);
  }

  #tellTwice(first: SourceEntry, again: SourceEntry, path: Path): void {
    const spelled = first.key === again.key ? "" : `, as ${JSON.stringify(first.key)}`;
    this.#problems.add(
      again.place.at,
      `${pathText(path)}: given twice, first at ${first.place.at}${spelled}`,
    );
  }
}

/** Whether a section on the way to a key says `enabled: false`. */
function isSwitchedOff(root: BoundSection, path: Path): boolean {
  let bound: Bound | undefined = root;
  for (const part of path) {
    if (bound?.kind === "section") {
      const enabled = bound.keys.get("enabled");
      if (enabled?.kind === "value" && enabled.value === false) return true;
      bound = bound.keys.get(String(part));
    } else if (bound?.kind === "map") bound = bound.entries.get(String(part));
    else if (bound?.kind === "list") bound = bound.items[Number(part)];
    else return false;
  }
  return false;
}

/** What a value must be, for errors. */
function expectedOf(key: KeyField): string {
  if (key.section !== undefined) return "a section with keys";
  const read = readValue(key, { value: NaN, text: "" });
  return "expected" in read ? read.expected : "a text";
}

function foundOf({ value, text }: SourceScalar, unit: Unit): string {
  const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  if (typeof value === "string") return JSON.stringify(unit === Unit.URL ? maskUrl(shown) : shown);
  return typeof value === "number" ? `the number ${shown}` : shown;
}

function isEmptySection(node: SourceNode, key: KeyField): boolean {
  return (
    node.kind === "scalar" && node.isImplicit === true && (key.section !== undefined || key.shape === "map")
  );
}
