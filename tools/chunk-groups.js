/** Which chunks of the library become one file, so that a start loads few files: the plan, from what esbuild says of them. */
import { basename } from "node:path";

/** The bytes of code that take as long to load as one more file does: about 0.3 ms. */
const fileBytes = 12_000;

/** How often entries are the ones that a program starts with, against once for those of single features. */
const weights = new Map([
  ["index.js", 20],
  ["flags.js", 10],
  ["app.js", 5],
  ["telemetry.js", 5],
]);

/** Entries that never load more than they need: those for browsers, and those that small programs import alone. */
const exact = new Set(["errors.js", "hub-client.js", "rest.js", "workers.js"]);

/**
 * Plans files out of chunks. Chunks that the same entries load are one file; others are put together where that saves the
 * entries, by their weights, more files than it makes them load code that they do not need. No entry loads a package or a
 * module of Node that it would not have loaded, and no two files need each other.
 *
 * Entries, and chunks that are only loaded by `import()`, stay as they are.
 *
 * @param outputs esbuild's `metafile.outputs`
 * @returns lists of paths of chunks: each list one file
 */
export function groupChunks(outputs) {
  const graph = new FileGraph(outputs);
  graph.joinAlike();
  for (let pair = bestPair(graph); pair !== undefined; pair = bestPair(graph)) graph.join(...pair);
  return graph.files.map(({ members }) => members).filter((members) => members.length > 1);
}

/** The two files that are best put together; undefined if none are. */
function bestPair(graph) {
  let most = 0;
  let best;
  const files = graph.files.filter(({ isFixed, entries }) => !isFixed && entries.size > 0);
  for (const [index, one] of files.entries()) {
    for (const other of files.slice(index + 1)) {
      const gained = savedFiles(one, other) * fileBytes;
      // Most pairs lose more by their own bytes, which need no look at what they import.
      if (gained - lostBytes(one, other) <= most) continue;
      const saved = gained - graph.lostByImports(one, other);
      if (saved > most && graph.canJoin(one, other)) {
        most = saved;
        best = [one, other];
      }
    }
  }
  return best;
}

/** How many files less entries load, by their weights, when two files are one. */
function savedFiles(one, other) {
  return sum(one.entries.intersection(other.entries), weightOf);
}

/** What entries load in vain when two files are one, by their weights, without what these import. */
function lostBytes(one, other) {
  const byOne = sum(one.entries.difference(other.entries), weightOf);
  const byOther = sum(other.entries.difference(one.entries), weightOf);
  return byOne * other.bytes + byOther * one.bytes;
}

/** The files of the library, and what they import of one another. */
class FileGraph {
  /** Each with its chunks, the entries that load it at once, its bytes, and what it imports from outside. */
  files;
  #outputs;
  #fileOf = new Map();

  constructor(outputs) {
    this.#outputs = outputs;
    const lazy = new Set(Object.values(outputs).flatMap(({ imports }) => pathsOf(imports, "dynamic-import")));
    this.files = Object.keys(outputs).map((path) => ({
      members: [path],
      entries: new Set(),
      bytes: outputs[path].bytes,
      outside: new Set(outputs[path].imports.filter(isOutside).map((one) => one.path)),
      isFixed: isEntry(path) || lazy.has(path),
    }));
    for (const file of this.files) this.#fileOf.set(file.members[0], file);
    for (const path of Object.keys(outputs).filter(isEntry)) {
      for (const file of this.#reachedFrom(this.#fileOf.get(path))) file.entries.add(path);
    }
  }

  /** Makes one file of those that the same entries load. */
  joinAlike() {
    const known = new Map();
    for (const file of this.files) {
      if (file.isFixed || file.entries.size === 0) continue;
      const key = [...file.entries].join();
      const first = known.get(key);
      known.set(key, first !== undefined && this.canJoin(first, file) ? this.join(first, file) : file);
    }
  }

  /** Makes two files one, which is loaded, with what it imports, by the entries of either. @returns it */
  join(one, other) {
    const joined = {
      members: [...one.members, ...other.members],
      entries: one.entries.union(other.entries),
      bytes: one.bytes + other.bytes,
      outside: one.outside.union(other.outside),
      isFixed: false,
    };
    this.files = [...this.files.filter((file) => file !== one && file !== other), joined];
    for (const path of joined.members) this.#fileOf.set(path, joined);
    for (const file of this.#reachedFrom(joined)) file.entries = file.entries.union(joined.entries);
    return joined;
  }

  /** What entries load in vain when two files are one, by their weights; infinite for what must not be. */
  lostByImports(one, other) {
    const lost = (entries, more) => sum(entries, (entry) => weightOf(entry) * this.#addedTo(entry, more));
    return (
      lost(one.entries.difference(other.entries), other) + lost(other.entries.difference(one.entries), one)
    );
  }

  /** Whether neither of two files needs the other by way of a third one: together they and that one would need each other. */
  canJoin(one, other) {
    const isBetween = (from, to) =>
      this.#importsOf(from).some((file) => file !== to && this.#reachedFrom(file).has(to));
    return !isBetween(one, other) && !isBetween(other, one);
  }

  /** The bytes that an entry loads more with a file that it does not load now. */
  #addedTo(entry, more) {
    if (exact.has(basename(entry))) return Infinity;
    const outside = new Set(
      this.files.filter(({ entries }) => entries.has(entry)).flatMap((file) => [...file.outside]),
    );
    let bytes = 0;
    for (const file of this.#reachedFrom(more)) {
      if (file.entries.has(entry)) continue;
      if (!file.outside.isSubsetOf(outside)) return Infinity;
      bytes += file.bytes + (file === more ? 0 : fileBytes);
    }
    return bytes;
  }

  /** A file, and all that it needs. */
  #reachedFrom(file) {
    const reached = new Set([file]);
    for (const one of reached) for (const next of this.#importsOf(one)) reached.add(next);
    return reached;
  }

  #importsOf(file) {
    const paths = file.members.flatMap((path) => pathsOf(this.#outputs[path].imports, "import-statement"));
    return [...new Set(paths.map((path) => this.#fileOf.get(path)))].filter((one) => one !== file);
  }
}

function weightOf(entry) {
  return weights.get(basename(entry)) ?? 1;
}

function sum(entries, value) {
  let total = 0;
  for (const entry of entries) total += value(entry);
  return total;
}

/** The outputs that an output imports in this way. */
function pathsOf(imports, way) {
  return imports.filter(({ external, kind }) => !external && kind === way).map(({ path }) => path);
}

/** Whether an import is of a package or a module of Node, at once. */
function isOutside({ external, kind }) {
  return external === true && kind === "import-statement";
}

/** Whether users import a file by its name. */
function isEntry(path) {
  return /\/src\/(?:index|entries\/[\w-]+)\.js$/.test(path);
}
