import { nearestName } from "../../errors/nearest-name.ts";
import type { Problems } from "./config-error.ts";
import type { KeyField, KeySection } from "./key-tree.ts";
import { layerOf, listOf, type Setting } from "./setting.ts";
import type { SourceMap, SourceNode } from "./source-node.ts";
import type { SourceReferences } from "./substitute.ts";

const prefix = "TS_MS_";

/**
 * Names that are no keys: files of the configuration, the cache of programs, and what tests and benchmarks of the toolkit
 * itself take.
 */
const otherNames = /^TS_MS_(?:(?:CONFIG|COMPILE_CACHE)$|TEST_|BENCH_)/;

/** A key that the environment can set. */
export interface EnvironmentKey {
  readonly key: KeyField;
  readonly path: readonly string[];
}

/** The keys by their names in the environment; keys below maps and lists of sections have none. */
export interface EnvironmentNames {
  /** Those of seeds: `HTTP_PORT`, `COMMUNICATION_TIMEOUT`. */
  readonly plain: ReadonlyMap<string, EnvironmentKey>;
  readonly openTelemetry: ReadonlyMap<string, EnvironmentKey>;
  /** `TS_MS_` and the path in capitals. */
  readonly own: ReadonlyMap<string, EnvironmentKey>;
}

const namesOf = new WeakMap<KeySection, EnvironmentNames>();

/** The names of all keys. */
export function environmentNames(root: KeySection): EnvironmentNames {
  let names = namesOf.get(root);
  if (names === undefined) namesOf.set(root, (names = new NamesOfKeys(root)));
  return names;
}

/** Most environments have no name that begins with `TS_MS_`: those of all keys are collected when one does. */
class NamesOfKeys implements EnvironmentNames {
  readonly plain = new Map<string, EnvironmentKey>();
  readonly openTelemetry = new Map<string, EnvironmentKey>();
  readonly #root: KeySection;
  /** Names of an option that begin as those of all keys do. */
  readonly #further = new Map<string, EnvironmentKey>();
  #own: ReadonlyMap<string, EnvironmentKey> | undefined;

  constructor(root: KeySection) {
    this.#root = root;
    eachKey(root, (found, isPlain) => {
      const { key, path } = found;
      if (isPlain) {
        const above = path.slice(0, -1);
        for (const name of [key.name, ...(key.option?.aliases ?? [])])
          this.plain.set(toCapitals([...above, name]), found);
      }
      for (const name of key.option?.env ?? []) {
        const group = name.startsWith("OTEL_") ? this.openTelemetry : this.plain;
        (name.startsWith(prefix) ? this.#further : group).set(name, found);
      }
    });
  }

  get own(): ReadonlyMap<string, EnvironmentKey> {
    if (this.#own !== undefined) return this.#own;
    const own = new Map<string, EnvironmentKey>();
    eachKey(this.#root, (found) => own.set(`${prefix}${toCapitals(found.path)}`, found));
    for (const [name, found] of this.#further) own.set(name, found);
    return (this.#own = own);
  }
}

/** Calls `visit` with every key that has names in the environment. */
function eachKey(
  section: KeySection,
  visit: (found: EnvironmentKey, isPlain: boolean) => void,
  path: readonly string[] = [],
  isPlain = false,
): void {
  for (const key of section.fields) {
    const keyPath = [...path, key.name];
    if (key.type !== "section") visit({ key, path: keyPath }, isPlain);
    else if (key.shape === "single" && key.section !== undefined) {
      eachKey(key.section, visit, keyPath, isPlain || key.option?.plainEnv === true);
    }
  }
}

/** What the environment says: three layers, the later win. */
export function environmentLayers(
  root: KeySection,
  references: SourceReferences,
  problems: Problems,
): readonly SourceMap[] {
  const names = environmentNames(root);
  const { env } = references;
  const reader = new EnvironmentReader(references, problems);
  const plain = reader.read(names.plain);
  const openTelemetry = reader.read(names.openTelemetry);
  const given = Object.entries(env).filter(([name]) => name.startsWith(prefix));
  const own = given.length === 0 ? [] : reader.read(names.own);
  for (const [name, value] of given) {
    if (value === undefined) continue;
    if (names.own.has(name) || otherNames.test(name) || reader.isRead(name)) continue;
    if (isServiceLink(name, value)) {
      reader.links.push(name);
      continue;
    }
    const near = nearestName(name, names.own.keys());
    const hint = near === undefined ? "" : `, did you mean ${near}?`;
    problems.add(`environment ${name}`, `there is no key of this name${hint}`);
  }
  if (reader.links.length > 0) {
    const [first = ""] = reader.links;
    const others = reader.links.length === 1 ? "" : ` and ${reader.links.length - 1} more`;
    references.warnings.add(
      `the environment has service links of Kubernetes under names of the configuration, which are ignored: ${first}` +
        `${others}; enableServiceLinks: false in the pod's spec removes them`,
    );
  }
  return [plain, openTelemetry, own].map((settings) =>
    layerOf(settings, { at: "environment", origin: "environment" }),
  );
}

class EnvironmentReader {
  readonly links: string[] = [];
  readonly #references: SourceReferences;
  readonly #problems: Problems;
  readonly #read = new Set<string>();

  constructor(references: SourceReferences, problems: Problems) {
    this.#references = references;
    this.#problems = problems;
  }

  isRead(name: string): boolean {
    return this.#read.has(name);
  }

  read(names: ReadonlyMap<string, EnvironmentKey>): readonly Setting[] {
    const settings: Setting[] = [];
    for (const [name, { key, path }] of names) {
      const value = this.#references.env[name];
      if (value !== undefined) {
        this.#read.add(name);
        if (isServiceLink(name, value) && /^(?:tcp|udp|sctp):\/\//.test(value)) this.links.push(name);
        else settings.push({ path, value: this.#node(key, value, name) });
      }
      const fileName = `${name}_FILE`;
      const file = this.#references.env[fileName];
      if (!key.secret || file === undefined || file === "" || names.has(fileName)) continue;
      this.#read.add(fileName);
      if (value !== undefined && value !== "") {
        this.#problems.add(`environment ${fileName}`, `${name} is set too: one of them`);
        continue;
      }
      const content = this.#file(file, fileName);
      if (content !== undefined) settings.push({ path, value: this.#node(key, content, fileName) });
    }
    return settings;
  }

  #file(path: string, name: string): string | undefined {
    try {
      return this.#references.readFile(path);
    } catch (error) {
      this.#problems.add(`environment ${name}`, error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }

  #node(key: KeyField, text: string, name: string): SourceNode {
    const place = { at: `environment ${name}`, origin: `environment ${name}` };
    const scalar = (part: string): SourceNode => ({
      kind: "scalar",
      place,
      value: part,
      text: part,
      hidden: true,
    });
    if (key.shape === "single") return scalar(text);
    if (key.shape === "list") return { kind: "list", place, items: listOf(text).map(scalar) };
    return pairsOf(text, key, scalar, place, this.#problems);
  }
}

/** Pairs as OpenTelemetry has them: `a=b,c=d`, with values in percent-encoding. */
function pairsOf(
  text: string,
  key: KeyField,
  scalar: (text: string) => SourceNode,
  place: SourceMap["place"],
  problems: Problems,
): SourceNode {
  const entries = listOf(text).map((pair) => {
    const equals = pair.indexOf("=");
    return { key: pair.slice(0, Math.max(equals, 0)).trim(), text: pair.slice(equals + 1).trim() };
  });
  const isGood = entries.every((entry) => entry.key !== "");
  if (!isGood || key.shape !== "map") {
    problems.add(place.at, `${key.name}: expected NAME=VALUE, several with commas`);
    return { kind: "broken", place };
  }
  return {
    kind: "map",
    place,
    entries: entries.map((entry) => ({ key: entry.key, place, value: scalar(decoded(entry.text)) })),
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Variables that Kubernetes makes of the services of a namespace. */
function isServiceLink(name: string, value: string): boolean {
  if (/_SERVICE_(?:HOST|PORT)(?:_[A-Z0-9_]+)?$/.test(name)) return true;
  if (/_PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?$/.test(name)) return true;
  return name.endsWith("_PORT") && /^(?:tcp|udp|sctp):\/\//.test(value);
}

function toCapitals(path: readonly string[]): string {
  return path.join("_").replaceAll("-", "_").toUpperCase();
}
