import {
  yaml,
  type Alias,
  type Document,
  type LineCounter,
  type Node,
  type Pair,
  type Scalar,
} from "../yaml.ts";
import type { Problems } from "./config-error.ts";
import { readLimited } from "./secret-file.ts";
import type { Place, SourceEntry, SourceMap, SourceNode, SourceScalar } from "./source-node.ts";
import { MissingReference, substitute, type References } from "./substitute.ts";

/** The largest file. */
const mostBytes = 1024 * 1024;

/** Most uses of anchors in a file, those inside of others counted each time. */
const mostAliases = 100;

/** Deeper nodes are no configuration. */
const mostLevels = 50;

/** More open brackets would not be parsed. */
const mostBrackets = 500;

/** YAML takes the bracket of a reference for one of its own. */
const unquotedReference = "a reference between brackets must be in quotes";

/** Problems of the parser that are listed for one file. */
const mostSyntaxProblems = 5;

/**
 * Reads a file of the configuration, in YAML 1.2 or JSON, with its references filled in.
 *
 * @param file its path, as it is shown
 * @returns undefined if it cannot be read; its mistakes are in `problems`
 */
export function readDocument(
  file: string,
  references: References,
  problems: Problems,
): SourceMap | undefined {
  if (!/\.(?:ya?ml|json)$/.test(file)) {
    problems.add(file, "the name of a configuration file ends in .yaml, .yml or .json");
    return undefined;
  }
  let text: string;
  try {
    text = readLimited(file, mostBytes, "file").bytes.toString("utf8");
  } catch (error) {
    problems.add(file, error instanceof Error ? error.message : String(error));
    return undefined;
  }
  return parseDocument(text, file, references, problems);
}

/** As `readDocument`, for a text. @param references undefined to fill in none */
export function parseDocument(
  text: string,
  file: string,
  references: References | undefined,
  problems: Problems,
): SourceMap | undefined {
  const lines = new (yaml().LineCounter)();
  const at = placesOf(file, lines);
  const tooDeep = nestingProblem(text);
  if (tooDeep !== undefined) {
    problems.add(file, tooDeep);
    return undefined;
  }
  const documents = yaml().parseAllDocuments(text, {
    lineCounter: lines,
    merge: false,
    prettyErrors: false,
    uniqueKeys: false, // Found where keys are read, with both places.
    version: "1.2",
    schema: file.endsWith(".json") ? "json" : "core",
  });
  const [document, second] = documents as Document.Parsed[]; // An empty stream is an empty list too.
  for (const { pos, message } of (document?.errors ?? []).slice(0, mostSyntaxProblems)) {
    const isReference = text.startsWith("${", pos[0] - 1);
    problems.add(at(pos[0]).at, isReference ? unquotedReference : message);
    if (isReference) break; // The next ones come of this one.
  }
  for (const { pos, code, message } of document?.warnings ?? []) {
    problems.add(at(pos[0]).at, code === "TAG_RESOLVE_FAILED" ? "unknown tag" : message);
  }
  if (second !== undefined)
    problems.add(at(second.range[0]).at, "a second document: a configuration file has one");
  if (document === undefined) return { kind: "map", place: at(0), entries: [] };
  if (document.errors.length > 0) return undefined;
  const root = new Reader(document, at, references, problems).read(document.contents, 0);
  if (root.kind === "map") return root;
  if (root.kind === "scalar" && root.value === null) return { kind: "map", place: at(0), entries: [] };
  if (root.kind !== "broken") problems.add(root.place.at, "expected keys with values");
  return undefined;
}

type PlaceAt = (offset: number) => Place;

function placesOf(file: string, lines: LineCounter): PlaceAt {
  return (offset) => {
    const { line, col } = lines.linePos(offset);
    return { at: `${file}:${Math.max(line, 1)}:${Math.max(col, 1)}`, origin: `${file}:${Math.max(line, 1)}` };
  };
}

/** The parser calls itself for each level: what is nested without end would end in its stack. */
function nestingProblem(text: string): string | undefined {
  let levels = 0;
  let most = 0;
  for (let index = 0; index < text.length; index++) {
    const char = text.charCodeAt(index);
    if (char === 0x5b || char === 0x7b) most = Math.max(most, ++levels);
    else if ((char === 0x5d || char === 0x7d) && levels > 0) levels--;
  }
  if (most > mostBrackets) return "brackets are nested too deeply";
  return /^ *(?:[-?:] ){100}|^ {400}/m.test(text) ? "lines are nested too deeply" : undefined;
}

/** Makes source nodes of the nodes of a document. */
class Reader {
  readonly #document: Document.Parsed;
  readonly #at: PlaceAt;
  readonly #references: References | undefined;
  readonly #problems: Problems;
  /** The nodes that are being read, to find an anchor inside of itself. */
  readonly #open = new Set<Node>();
  #aliases = 0;

  constructor(
    document: Document.Parsed,
    at: PlaceAt,
    references: References | undefined,
    problems: Problems,
  ) {
    this.#document = document;
    this.#at = at;
    this.#references = references;
    this.#problems = problems;
  }

  read(node: Node | null | undefined, offset: number, level = 0): SourceNode {
    const place = this.#at(node?.range?.[0] ?? offset);
    if (node === null || node === undefined) return emptyScalar(place);
    if (yaml().isAlias(node)) return this.#readAlias(node, place, level);
    if (this.#open.has(node)) return this.#broken(place, "an anchor contains itself");
    if (level > mostLevels) return this.#broken(place, `more than ${mostLevels} levels`);
    this.#open.add(node);
    try {
      if (yaml().isScalar(node)) return this.#readScalar(node, place);
      if (yaml().isSeq<Node>(node)) {
        return { kind: "list", place, items: node.items.map((item) => this.read(item, offset, level + 1)) };
      }
      if (yaml().isMap<Node, Node | null>(node)) return this.#readMap(node.items, place, level);
      return this.#broken(place, "expected a value, a list or keys");
    } finally {
      this.#open.delete(node);
    }
  }

  #readMap(pairs: readonly Pair<Node, Node | null>[], place: Place, level: number): SourceMap {
    const entries = pairs.flatMap((pair): SourceEntry[] => {
      const offset = pair.key.range?.[0] ?? 0;
      if (!yaml().isScalar(pair.key)) {
        this.#problems.add(this.#at(offset).at, "a key must be a text");
        return [];
      }
      const key = textOf(pair.key);
      const value = this.read(pair.value, (pair.key.range?.[1] ?? 0) + 1, level + 1);
      return [{ key, place: this.#at(offset), value }];
    });
    return { kind: "map", place, entries };
  }

  #readAlias(alias: Alias, place: Place, level: number): SourceNode {
    if (++this.#aliases > mostAliases) {
      if (this.#aliases > mostAliases + 1) return { kind: "broken", place };
      return this.#broken(place, `anchors are used more than ${mostAliases} times`);
    }
    const target = alias.resolve(this.#document);
    if (target === undefined) return this.#broken(place, `there is no anchor ${alias.source} before`);
    if (this.#open.has(target)) return this.#broken(place, `the anchor ${alias.source} contains itself`);
    return this.read(target, 0, level + 1);
  }

  #readScalar(node: Scalar, place: Place): SourceNode {
    const { value } = node;
    const text = textOf(node);
    if (value === null) return { kind: "scalar", place, value, text, isImplicit: text === "" };
    if (typeof value !== "string") {
      if (typeof value === "number" || typeof value === "boolean")
        return { kind: "scalar", place, value, text };
      return this.#broken(place, "expected a text, a number, true or false");
    }
    try {
      const filled = this.#references === undefined ? undefined : substitute(value, this.#references);
      if (filled === undefined) return { kind: "scalar", place, value, text: value };
      return { kind: "scalar", place, value: filled.text, hidden: true, ...filled };
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (!(error instanceof MissingReference)) return this.#broken(place, message);
      return { kind: "scalar", place, value: "", text: "", hidden: true, missing: message };
    }
  }

  #broken(place: Place, problem: string): SourceNode {
    this.#problems.add(place.at, problem);
    return { kind: "broken", place };
  }
}

function emptyScalar(place: Place): SourceScalar {
  return { kind: "scalar", place, value: null, text: "", isImplicit: true };
}

/** A scalar as it was written, without quotes. */
function textOf({ value, source }: Scalar): string {
  return typeof value === "string" ? value : (source ?? "");
}
