import { pathText } from "./bound.ts";
import type { Place, SourceEntry, SourceMap, SourceNode } from "./source-node.ts";

/** A value for one key. */
export interface Setting {
  readonly path: readonly string[];
  readonly value: SourceNode;
}

/** A map of settings; of several for one key the last counts. */
export function layerOf(settings: readonly Setting[], place: Place): SourceMap {
  const root: MutableMap = { place, entries: new Map() };
  for (const { path, value } of settings) {
    let map = root;
    for (const part of path.slice(0, -1)) {
      let next = map.entries.get(part);
      if (next === undefined || "kind" in next) {
        next = { place: value.place, entries: new Map() };
        map.entries.set(part, next);
      }
      map = next;
    }
    map.entries.set(path.at(-1) ?? "", value);
  }
  return toSource(root);
}

interface MutableMap {
  readonly place: Place;
  readonly entries: Map<string, MutableMap | SourceNode>;
}

function toSource({ place, entries }: MutableMap): SourceMap {
  const list = [...entries].map(([key, value]): SourceEntry => {
    const node = "kind" in value ? value : toSource(value);
    return { key, place: node.place, value: node };
  });
  return { kind: "map", place, entries: list };
}

/** The items of a text that has commas between them. */
export function listOf(text: string): readonly string[] {
  return text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

/**
 * The path of a key: `http.port`, `access.rules["pkg.S/M"].level`.
 *
 * @throws Error that says where it is none
 */
export function parsePath(text: string): readonly string[] {
  const path: string[] = [];
  let rest = text;
  while (rest !== "") {
    const [whole, name, quoted] =
      /^(?:([^.[\]"]+)|\[("(?:[^"\\]|\\.)*")\])(?:\.(?=.)|(?=\[)|$)/.exec(rest) ?? [];
    if (whole === undefined) {
      const before = path.length === 0 ? "" : ` behind ${pathText(path)}`;
      throw new Error(
        `${JSON.stringify(rest)}${before} is no key: write section.key, or section["name.with.dots"]`,
      );
    }
    path.push(name ?? unquote(quoted ?? '""'));
    rest = rest.slice(whole.length);
  }
  if (path.length === 0) throw new Error("there is no key");
  return path;
}

function unquote(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    throw new Error(`${text} is no text in quotes`);
  }
}
