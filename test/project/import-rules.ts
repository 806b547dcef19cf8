import { posix } from "node:path";

/** Where a third-party package may be imported: path prefixes below the root, everywhere, or one file of any name. */
export type Owner = readonly string[] | "anywhere" | "one file";

/** What a project is to the import rules. */
export interface ImportedSources {
  /** Text of every source file under `src/`, `gen/` and `examples/`, by its path below the root. */
  readonly files: ReadonlyMap<string, string>;
  /** Owner of every third-party package, by the package's name. */
  readonly owners: ReadonlyMap<string, Owner>;
}

interface ImportLine {
  readonly from: string;
  /** Path below the root for a relative import, package name or `node:` name otherwise. */
  readonly to: string;
  readonly isLocal: boolean;
}

/** Files that put core's parts together; nothing in core but one another may import them. */
const assemblers = ["src/core/grpc-server.ts", "src/core/dial.ts"];

const siblings = ["gateway", "services", "messaging"];

/** Names that say nothing of what is in the file. */
const emptyNames = /(?:^|-)(?:utils?|helpers?|managers?)\.ts$/;

/** Every breach of the import rules, a sentence each, in the order of the files. */
export function importViolations({ files, owners }: ImportedSources): string[] {
  const imports = [...files].flatMap(([file, text]) => importsOf(file, text));
  const local = imports.filter((line) => line.isLocal);
  return [
    ...[...files.keys()].flatMap(nameViolations),
    ...local.flatMap((line) => {
      const why = files.has(line.to) ? arrowViolation(line) : "there is no such file";
      return why === undefined ? [] : [`${line.from} imports ${line.to}: ${why}`];
    }),
    ...ownerViolations(imports, owners),
    ...cycles([...files.keys()], local),
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

function nameViolations(file: string): string[] {
  if (!file.startsWith("src/")) return [];
  if (file.endsWith("/index.ts") && file !== "src/index.ts")
    return [`${file}: src/index.ts is the only index file`];
  return emptyNames.test(posix.basename(file)) ? [`${file}: the name does not say what is inside`] : [];
}

/** Why this import points the wrong way, or undefined when it does not. */
function arrowViolation({ from, to }: ImportLine): string | undefined {
  const [source, target] = [areaOf(from), areaOf(to)];
  if (source === "gen") return target === "gen" ? undefined : "generated code imports only generated code";
  if (source === "examples") {
    // The services of the examples are written as a user writes his own, and are not part of the package's surface.
    const allowed = to === "src/index.ts" || ["gen", "examples", "services"].includes(target);
    return allowed ? undefined : "examples use the public surface, src/index.ts";
  }
  if (target === "gen") return undefined;
  if (to === "src/index.ts") return "src/index.ts is for users, nothing in src imports it";
  if (!to.startsWith("src/")) return "src imports only src and gen";
  if (source === "core") return target === "core" ? coreViolation(from, to) : "core knows no other room";
  if (target === "cli" && source !== "cli" && from !== "src/index.ts")
    return "nothing builds on the command line";
  const strangers = siblings.includes(source) && siblings.includes(target) && source !== target;
  return strangers ? `${source} and ${target} meet in core` : undefined;
}

/** Rules inside core: vocabulary below sub-folders below assemblers. */
function coreViolation(from: string, to: string): string | undefined {
  if (assemblers.includes(from)) return undefined;
  if (assemblers.includes(to)) return "only the rooms above core and assemblers import an assembler";
  const isVocabulary = posix.dirname(from) === "src/core";
  return isVocabulary && posix.dirname(to) !== "src/core" ? "vocabulary imports no sub-folder" : undefined;
}

/** The room of a file in `src/`, or its top-level folder; empty for the files directly in `src/`. */
function areaOf(file: string): string {
  const [top = "", room = "", inside] = file.split("/");
  if (top !== "src") return top;
  return inside === undefined ? "" : room;
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

/** Every import cycle once, as the path around it. */
function cycles(files: readonly string[], imports: readonly ImportLine[]): string[] {
  const next = new Map<string, string[]>(files.map((file) => [file, []]));
  for (const { from, to } of imports) next.get(from)?.push(to);
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file);
    if (start >= 0) found.push(`import cycle: ${[...path.slice(start), file].join(" → ")}`);
    if (start >= 0 || done.has(file)) return;
    for (const target of next.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  return found;
}
