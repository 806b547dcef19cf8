import { pathText, type Bound, type BoundSection, type BoundValue } from "./bound.ts";
import type { Path } from "./bind.ts";
import type { Problems } from "./config-error.ts";
import type { KeyField, KeySection } from "./key-tree.ts";
import type { Place } from "./source-node.ts";
import { readValue } from "./units.ts";

/** Where defaults come from. */
export const defaultPlace: Place = { at: "default", origin: "default" };

/** Completes what sources say. */
export class Completion {
  readonly #problems: Problems;
  readonly #told: ReadonlySet<string>;

  /** @param told the keys whose mistakes are told, which are not missing */
  constructor(problems: Problems, told: ReadonlySet<string>) {
    this.#problems = problems;
    this.#told = told;
  }

  /** A section with the defaults of the keys that are not set. Keys that must be set and are not are told. */
  section(bound: BoundSection, section: KeySection, path: Path = []): BoundSection {
    const keys = new Map<string, Bound>();
    for (const key of section.fields) {
      const keyPath = [...path, key.name];
      const value = bound.keys.get(key.name);
      const completed = value === undefined ? this.#default(key, keyPath) : this.#key(value, key, keyPath);
      if (completed !== undefined) keys.set(key.name, completed);
      else if (key.option?.required === true && !this.#told.has(pathText(keyPath))) {
        this.#problems.add(bound.place.at, `${pathText(keyPath)} is missing`);
      }
    }
    return { ...bound, keys };
  }

  #key(value: Bound, key: KeyField, path: Path): Bound | undefined {
    const { section } = key;
    if (value.kind === "reset") return this.#default(key, path);
    if (section === undefined) {
      const isMissing = value.kind === "list" && value.items.length === 0 && key.option?.required === true;
      return isMissing ? undefined : value;
    }
    switch (value.kind) {
      case "section":
        return this.section(value, section, path);
      case "list":
        return {
          ...value,
          items: value.items.map((item, index) => this.#item(item, section, [...path, index])),
        };
      case "map": {
        const entries = [...value.entries].map(
          ([name, entry]) => [name, this.#item(entry, section, [...path, name])] as const,
        );
        return { ...value, entries: new Map(entries) };
      }
      default:
        return value;
    }
  }

  #item<B extends Bound>(item: B, section: KeySection, path: Path): B | BoundSection {
    return item.kind === "section" ? this.section(item, section, path) : item;
  }

  /** The default of a key; undefined where it has none. */
  #default(key: KeyField, path: Path): Bound | undefined {
    const { type, option, shape, isOptional } = key;
    if (type === "section") {
      const section = shape === "single" && option?.always === true ? key.section : undefined;
      if (section === undefined) return undefined;
      return this.section({ kind: "section", keys: new Map(), place: defaultPlace }, section, path);
    }
    const text = option?.default;
    if (shape === "list") {
      if (text === undefined) return undefined;
      return {
        kind: "list",
        place: defaultPlace,
        items: text.split(",").map((item) => defaultValue(key, item)),
      };
    }
    // Fields that say `optional` have no default; `required` ones must be set.
    const hasDefault = shape === "single" && !isOptional && option?.required !== true;
    return hasDefault ? defaultValue(key, text ?? zeroTexts[key.type] ?? "") : undefined;
  }
}

/** Of fields without a default that always have a value. */
const zeroTexts: Readonly<Record<string, string>> = { bool: "false", count: "0", number: "0" };

function defaultValue(key: KeyField, text: string): BoundValue {
  const read = readValue(key, { value: text, text });
  // A test reads all defaults.
  if ("expected" in read)
    throw new Error(`the default of ${key.name} is no value: expected ${read.expected}`);
  return { kind: "value", value: read.value, shown: text, place: defaultPlace };
}
