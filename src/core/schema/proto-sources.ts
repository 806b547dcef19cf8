import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { FileRegistry } from "@bufbuild/protobuf";
import { Edition } from "@bufbuild/protobuf/wkt";
// proto-loader's own descriptors lose imports, options and the borders of files; the tree it parsed has them all.
import { addCommonProtos } from "@grpc/proto-loader/build/src/util.js";
import type * as tree from "protobufjs";
import { linkFiles } from "./file-set.ts";
import { knownFiles } from "./known-files.ts";
import { toFileDescriptors } from "./proto-tree.ts";
import { withCustomOptions } from "./proto-options.ts";
import { prepareSource } from "./proto-text.ts";
import { SetupError } from "../errors/setup-error.ts";

addCommonProtos();

// The copy that proto-loader parses with.
const parser = createRequire(createRequire(import.meta.url).resolve("@grpc/proto-loader"))(
  "protobufjs",
) as typeof tree;
/** What the parser calls the file in its errors and its tree; not in its types. */
const parse: typeof tree.parse & { filename?: string | null } = parser.parse;

/** What was read from sources. */
export interface LoadedSources {
  readonly registry: FileRegistry;
  /** Options that were left out, and why: a sentence each. */
  readonly warnings: readonly string[];
}

/** The registry of `loadSources`. */
export function loadProtoSources(files: readonly string[], paths: readonly string[] = []): FileRegistry {
  return loadSources(files, paths).registry;
}

/**
 * Compiles `.proto` files to descriptors that give the same routes as those of `buf build`.
 *
 * @param files Paths of the files, or their names below one of `paths`.
 * @param paths Folders that imports are looked up in; the folder of each file unless given. `google/api` and
 *   `google/protobuf` resolve by themselves.
 * @throws Error naming the file, and the line where the parser knows it.
 */
export function loadSources(files: readonly string[], paths: readonly string[] = []): LoadedSources {
  const label = files.length > 3 ? `${files.length} .proto files` : files.join(", ");
  const roots =
    paths.length > 0
      ? paths.map((path) => resolve(path))
      : [...new Set(files.map((f) => dirname(resolve(f))))];
  const includeDirs = [...roots, vendored()];
  const fileName = (path: string): string => nameBelow(path, includeDirs);
  const sources = new SourceReader(includeDirs, fileName);
  for (const file of files) sources.add(locate(file, roots));
  const root = sources.resolve();
  const { files: plain, options } = toFileDescriptors(root, fileName);
  const own = plain.filter((file) => !knownFiles.has(file.name));
  for (const file of own) if (sources.inEdition2024.has(file.name)) file.edition = Edition.EDITION_2024;
  const linked = linkFiles(own, label);
  if (options.length === 0) return { registry: linked, warnings: [] };
  const warnings: string[] = [];
  const warn = (message: string) => void warnings.push(message);
  const withOptions = withCustomOptions(own, options, linked, sources.literals, warn);
  return { registry: linkFiles(withOptions, label), warnings };
}

/** Said of what the parser does not take, since it knows less than compilers do. */
const wayOut =
  "if buf or protoc compiles it, serve the descriptor set of `buf build -o x.binpb` (--descriptors x.binpb)";

/** Reads sources with all that they import into one tree. */
class SourceReader {
  /** Names of the files that are written in edition 2024. */
  readonly inEdition2024 = new Set<string>();
  /** Values of options, see `prepareSource`. */
  readonly literals: string[] = [];
  readonly #root = new parser.Root();
  readonly #folders: readonly string[];
  readonly #fileName: (path: string) => string;
  readonly #read = new Set<string>();

  constructor(folders: readonly string[], fileName: (path: string) => string) {
    this.#folders = folders;
    this.#fileName = fileName;
  }

  add(path: string): void {
    const open = [path];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (this.#read.has(next)) continue;
      this.#read.add(next);
      open.push(...this.#parse(next).toReversed());
    }
  }

  /** The tree with every name resolved. */
  resolve(): tree.Root {
    try {
      return this.#root.resolveAll() as tree.Root;
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      const element = / in (?:\w+ )?(\.[\w.]+)/.exec(message)?.[1];
      const path = element === undefined ? undefined : this.#root.lookup(element)?.filename;
      const file = path == null ? "" : `${this.#fileName(path)}: `;
      throw new SetupError(`${file}${message}; ${wayOut}`, { cause });
    }
  }

  /** Paths of the imports of a file, after its declarations were put into the tree. */
  #parse(path: string): string[] {
    const { text, isEdition2024 } = prepareSource(readFileSync(path, "utf8"), this.literals);
    const name = this.#fileName(path);
    if (isEdition2024) this.inEdition2024.add(name);
    let parsed: tree.IParserResult;
    try {
      parse.filename = path;
      parsed = parse(text, this.#root, { keepCase: true });
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new SetupError(`${name}: ${message}; ${wayOut}`, { cause });
    } finally {
      parse.filename = null;
    }
    const weak = new Set(parsed.weakImports);
    return [...(parsed.imports ?? []), ...weak].flatMap((target) => {
      const builtIn = parser.common.get(target);
      if (builtIn !== null) return this.#addBuiltIn(target, builtIn);
      const found = this.#folders.map((folder) => join(folder, target)).find((file) => existsSync(file));
      if (found !== undefined) return [found];
      if (weak.has(target)) return [];
      throw new SetupError(`${name}: ${target} is imported but in none of ${this.#folders.join(", ")}`);
    });
  }

  /** A file that the parser has, as a tree. */
  #addBuiltIn(name: string, { nested }: tree.INamespace): [] {
    if (!this.#read.has(name) && nested !== undefined) this.#root.addJSON(nested);
    this.#read.add(name);
    return [];
  }
}

/** The folder of google/api and its like that comes with this package. */
function vendored(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const candidate = join(folder, "proto");
    if (existsSync(join(candidate, "google/api/annotations.proto"))) return candidate;
    if (dirname(folder) === folder) throw new SetupError("the package's own proto folder is missing");
  }
}

function locate(file: string, roots: readonly string[]): string {
  for (const candidate of [resolve(file), ...roots.map((root) => join(root, file))]) {
    if (existsSync(candidate)) return candidate;
  }
  throw new SetupError(`${file}: no such file, neither as a path nor below ${roots.join(", ")}`);
}

/** What a file is imported as: its path below the first folder that holds it. */
function nameBelow(path: string, folders: readonly string[]): string {
  if (!isAbsolute(path)) return path; // One of the parser's built-in files.
  const below = folders.map((folder) => relative(folder, path)).filter((name) => !name.startsWith(".."));
  const name = below.toSorted((a, b) => a.length - b.length)[0] ?? path;
  return name.split(sep).join("/");
}
