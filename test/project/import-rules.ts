import { posix } from "node:path";

/** Where a third-party package may be imported: path prefixes below the root, everywhere, or one file of any name. */
export type Owner = readonly string[] | "anywhere" | "one file";

/**
 * The rooms of `src/` by their path below it, with the rooms that each may import. A folder without an entry belongs
 * to the nearest room above it, and only that room may import from it. `core/…` stands for every room below `core`.
 */
export type Arrows = Readonly<Record<string, readonly string[]>>;

/** What a project is to the import rules. */
export interface ImportedSources {
  /** Text of every source file under `src/`, `gen/` and `examples/`, by its path below the root. */
  readonly files: ReadonlyMap<string, string>;
  /** Owner of every third-party package, by the package's name. */
  readonly owners: ReadonlyMap<string, Owner>;
  readonly arrows: Arrows;
}

interface ImportLine {
  readonly from: string;
  /** Path below the root for a relative import, package name or `node:` name otherwise. */
  readonly to: string;
  readonly isLocal: boolean;
}

/** The only files that may stand directly in a room of rooms: they put its parts together. */
const assemblers: Readonly<Record<string, readonly string[]>> = {
  core: ["src/core/grpc-server.ts", "src/core/dial.ts"],
  gateway: [
    "src/gateway/http-server.ts",
    "src/gateway/http-server-parts.ts",
    "src/gateway/http-server-options.ts",
  ],
};

/** Names that say nothing of what is in the file. */
const emptyNames = /(?:^|-)(?:utils?|helpers?|managers?)\.ts$/;

/** Every breach of the import rules, a sentence each, in the order of the files. */
export function importViolations({ files, owners, arrows }: ImportedSources): string[] {
  const imports = [...files].flatMap(([file, text]) => importsOf(file, text));
  const local = imports.filter((line) => line.isLocal);
  return [
    ...[...files.keys()].flatMap((file) => placeViolations(file, arrows)),
    ...local.flatMap((line) => {
      const why = files.has(line.to) ? arrowViolation(line, arrows) : "there is no such file";
      return why === undefined ? [] : [`${line.from} imports ${line.to}: ${why}`];
    }),
    ...ownerViolations(imports, owners),
    ...fileCycles([...files.keys()], local),
    ...folderCycles(local),
  ];
}

/** The modules a file names in import and export lines, type imports and dynamic imports with a fixed name too. */
export function importsOf(file: string, text: string): ImportLine[] {
  const lines = /^(?:import|export)\s+(?:[\w\s,*{}$]+?\s*\bfrom\s*)?"([^"]+)"|\bimport\(\s*"([^"]+)"/gm;
  return [...text.matchAll(lines)].map(([, fixed, dynamic]) => {
    const name = fixed ?? dynamic ?? "";
    const isLocal = name.startsWith(".");
    const to = isLocal ? posix.join(posix.dirname(file), name) : packageName(name);
    return { from: file, to, isLocal };
  });
}

function packageName(specifier: string): string {
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

/** What is wrong with where a file stands and how it is called. */
function placeViolations(file: string, arrows: Arrows): string[] {
  if (!file.startsWith("src/") || file === "src/index.ts") return [];
  if (file.endsWith("/index.ts")) return [`${file}: src/index.ts is the only index file`];
  if (emptyNames.test(posix.basename(file))) return [`${file}: the name does not say what is inside`];
  const room = roomOf(file, arrows);
  if (room === undefined) return [`${file}: test/project/rooms.ts has no room for it`];
  const allowed = assemblers[room];
  if (allowed === undefined || allowed.includes(file)) return [];
  return [`${file}: only ${allowed.join(" and ")} stand directly in ${room}`];
}

/** Why this import points the wrong way, or undefined when it does not. */
function arrowViolation({ from, to }: ImportLine, arrows: Arrows): string | undefined {
  const [source, target] = [topOf(from), topOf(to)];
  if (source === "gen") return target === "gen" ? undefined : "generated code imports only generated code";
  if (source === "examples") {
    // The services of the examples are written as a user writes his own, and are not part of the package's surface.
    const allowed = isPublic(to) || target !== "src" || to.startsWith("src/services/");
    return allowed ? undefined : "examples use the public surface, src/index.ts and src/entries";
  }
  if (target === "gen") return undefined;
  if (isPublic(to)) return `${to} is for users, nothing in src imports it`;
  if (target !== "src") return "src imports only src and gen";
  if (from === "src/index.ts") return undefined;
  return roomViolation(roomOf(from, arrows), roomOf(to, arrows), to, arrows);
}

/** Whether users import this file: that of the package itself, or of one of its sub-paths. */
function isPublic(file: string): boolean {
  return file === "src/index.ts" || file.startsWith("src/entries/");
}

function roomViolation(
  source: string | undefined,
  target: string | undefined,
  to: string,
  arrows: Arrows,
): string | undefined {
  if (source === undefined || target === undefined || source === target) return undefined;
  const allowed = arrows[source] ?? [];
  if (!allowed.some((room) => covers(room, target))) return `no arrow leads from ${source} to ${target}`;
  const folder = posix.dirname(to).slice("src/".length);
  return folder === target ? undefined : `${folder} is private to ${target}`;
}

/** Whether a name of the arrows means this room. */
function covers(name: string, room: string): boolean {
  return name.endsWith("/…") ? room.startsWith(name.slice(0, -1)) : name === room;
}

/** The room of a file in `src/`: the longest entry of the arrows that its folder begins with. */
function roomOf(file: string, arrows: Arrows): string | undefined {
  let folder = posix.dirname(file).slice("src/".length);
  while (folder !== "." && folder !== "") {
    if (Object.hasOwn(arrows, folder)) return folder;
    folder = posix.dirname(folder);
  }
  return undefined;
}

/** The top-level folder of a file. */
function topOf(file: string): string {
  return file.split("/", 1)[0] ?? "";
}

function ownerViolations(imports: readonly ImportLine[], owners: ReadonlyMap<string, Owner>): string[] {
  const users = new Map<string, Set<string>>();
  const found: string[] = [];
  for (const { from, to, isLocal } of imports) {
    if (isLocal || to.startsWith("node:") || !from.startsWith("src/")) continue;
    const owner = owners.get(to);
    users.set(to, (users.get(to) ?? new Set()).add(from));
    if (owner === undefined) found.push(`${from} imports ${to}: docs/dependencies.md names no owner of it`);
    else if (typeof owner === "object" && !owner.some((prefix) => from.startsWith(prefix))) {
      found.push(`${from} imports ${to}: only ${owner.join(" and ")} may`);
    }
  }
  for (const [name, files] of users) {
    if (owners.get(name) !== "one file" || files.size < 2) continue;
    found.push(`${name} is imported by ${[...files].join(" and ")}: only one file may`);
  }
  return found;
}

function fileCycles(files: readonly string[], imports: readonly ImportLine[]): string[] {
  const next = new Map<string, string[]>(files.map((file) => [file, []]));
  for (const { from, to } of imports) next.get(from)?.push(to);
  return cycles(next).map((path) => `import cycle: ${path.join(" → ")}`);
}

/**
 * Circles among what stands in one folder, where a sub-folder counts as one thing with all that is below it: a file
 * of a folder may import from its sub-folder, or the sub-folder from that file, but not both.
 */
function folderCycles(imports: readonly ImportLine[]): string[] {
  const levels = new Map<string, Map<string, string[]>>();
  for (const { from, to } of imports) {
    const [source, target] = [from.split("/"), to.split("/")];
    let depth = 0;
    while (source[depth] === target[depth] && depth < Math.min(source.length, target.length) - 1) depth++;
    const folder = source.slice(0, depth).join("/");
    const [one = "", other = ""] = [source[depth], target[depth]];
    // A circle of two files of this very folder is a cycle of files.
    if (one === other || (source.length === depth + 1 && target.length === depth + 1)) continue;
    const level = levels.get(folder) ?? new Map<string, string[]>();
    levels.set(folder, level.set(one, [...new Set([...(level.get(one) ?? []), other])]));
  }
  return [...levels].flatMap(([folder, next]) =>
    cycles(next).map((path) => `folder cycle in ${folder}: ${path.join(" → ")}`),
  );
}

/** Every cycle of a graph once, as the path around it. */
function cycles(next: ReadonlyMap<string, readonly string[]>): string[][] {
  const done = new Set<string>();
  const found: string[][] = [];
  const visit = (node: string, path: readonly string[]): void => {
    const start = path.indexOf(node);
    if (start >= 0) found.push([...path.slice(start), node]);
    if (start >= 0 || done.has(node)) return;
    for (const target of next.get(node) ?? []) visit(target, [...path, node]);
    done.add(node);
  };
  for (const node of next.keys()) visit(node, []);
  return found;
}
