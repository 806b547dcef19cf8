import { Unit } from "./key-shape.ts";
import type { Problems } from "./config-error.ts";
import { parseDocument } from "./document.ts";
import type { KeyField, KeySection } from "./key-tree.ts";
import { maskUrl } from "./mask.ts";
import { layerOf, listOf, parsePath, type Setting } from "./setting.ts";
import type { Place, SourceMap, SourceNode } from "./source-node.ts";

/** What `--set KEY=VALUE` says: a layer for each, of which the later win. */
export function setLayers(
  texts: readonly string[],
  root: KeySection,
  problems: Problems,
): readonly SourceMap[] {
  return texts.flatMap((text) => {
    const setting = readSetting(text, root, problems);
    return setting === undefined ? [] : [layerOf([setting], setting.value.place)];
  });
}

function readSetting(text: string, root: KeySection, problems: Problems): Setting | undefined {
  const equals = splitAt(text);
  if (equals === -1) {
    problems.add(`--set ${text}`, "expected KEY=VALUE");
    return undefined;
  }
  const name = text.slice(0, equals);
  let path: readonly string[];
  try {
    path = parsePath(name);
  } catch (error) {
    problems.add(`--set ${name}`, error instanceof Error ? error.message : String(error));
    return undefined;
  }
  const found = keyAt(root, path);
  const isUrl = found?.key.option?.unit === Unit.URL;
  const shown = isUrl ? `${name}=${maskUrl(text.slice(equals + 1))}` : text;
  const place: Place = { at: `--set ${found?.key.secret === true ? name : shown}`, origin: "--set" };
  const value = valueOf(text.slice(equals + 1), found, place, problems);
  return value === undefined ? undefined : { path, value };
}

/** Where the first `=` is that is in no quoted name. */
function splitAt(text: string): number {
  let isQuoted = false;
  for (let index = 0; index < text.length; index++) {
    const char = text[index];
    if (isQuoted && char === "\\") index++;
    else if (char === '"' && (isQuoted || text[index - 1] === "[")) isQuoted = !isQuoted;
    else if (char === "=" && !isQuoted) return index;
  }
  return -1;
}

/** What a path leads to. */
interface Target {
  readonly key: KeyField;
  /** Whether it is one entry of the map that the key is. */
  readonly isEntry: boolean;
}

/** What a path leads to; undefined for what there is not, which is told where keys are read. */
function keyAt(root: KeySection, path: readonly string[]): Target | undefined {
  let section: KeySection | undefined = root;
  let target: Target | undefined;
  for (let index = 0; index < path.length; index++) {
    const key: KeyField | undefined = section?.spellings.get(path[index] ?? "");
    if (key === undefined) return undefined;
    section = key.section;
    const isEntry = key.shape === "map" && index + 1 < path.length;
    if (isEntry) index++; // Its name.
    target = { key, isEntry };
  }
  return target;
}

function valueOf(
  text: string,
  target: Target | undefined,
  place: Place,
  problems: Problems,
): SourceNode | undefined {
  const scalar = (part: string): SourceNode => ({ kind: "scalar", place, value: part, text: part });
  if (text === "null") return { kind: "scalar", place, value: null, text };
  if (target === undefined) return scalar(text);
  const { key, isEntry } = target;
  const isMany = !isEntry && key.shape !== "single";
  if (/^\s*[[{]/.test(text) && (isMany || key.section !== undefined)) {
    const value = parseDocument(`value: ${text}`, place.at, undefined, problems)?.entries[0]?.value;
    return value === undefined ? undefined : placed(value, place);
  }
  return key.shape === "list" && key.section === undefined
    ? { kind: "list", place, items: listOf(text).map(scalar) }
    : scalar(text);
}

/** The same node, all of it at one place. */
function placed(node: SourceNode, place: Place): SourceNode {
  switch (node.kind) {
    case "list":
      return { ...node, place, items: node.items.map((item) => placed(item, place)) };
    case "map":
      return {
        ...node,
        place,
        entries: node.entries.map(({ key, value }) => ({ key, place, value: placed(value, place) })),
      };
    default:
      return { ...node, place };
  }
}
