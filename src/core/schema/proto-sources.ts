import { existsSync, readFileSync } from "node:fs";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import type { FileRegistry } from "@bufbuild/protobuf";
import { Edition } from "@bufbuild/protobuf/wkt";
// proto-loader's descriptors lack imports, options and file boundaries; its parsed tree has all of them.
import { addCommonProtos } from "@grpc/proto-loader/build/src/util.js";
import parser from "protobufjs";
import type * as tree from "protobufjs";
import { linkFiles } from "./file-set.ts";
import { knownFiles } from "./known-files.ts";
import { toFileDescriptors } from "./proto-tree.ts";
import { withCustomOptions } from "./proto-options.ts";
import { prepareSource } from "./proto-text.ts";
import { vendoredFolder, vendoredText } from "./vendored-protos.ts";
import { SetupError } from "../errors/setup-error.ts";

addCommonProtos();

/** `filename` is the name of the file in the parser's errors and tree; its types lack the property. */
const parse: typeof tree.parse & { filename?: string | null } = parser.parse;

/** The result of `loadSources`. */
export interface LoadedSources {
  readonly registry: FileRegistry;
  /** A sentence for each option that was left out, with the reason. */
  readonly warnings: readonly string[];
}

/** The registry of `loadSources`. */
export function loadProtoSources(files: readonly string[], paths: readonly string[] = []): FileRegistry {
  return loadSources(files, paths).registry;
}

/**
 * Compiles `.proto` files to descriptors with the same routes as those of `buf build`.
 *
 * @param files Paths of the files, or their names below one of `paths`.
 * @param paths Folders in which imports are looked up. Default: the folder of each file. Imports of `google/api` and
 *   `google/protobuf` always resolve.
 * @throws Error naming the file, and the line if the parser reports it.
 */
export function loadSources(files: readonly string[], paths: readonly string[] = []): LoadedSources {
  const label = files.length > 3 ? `${files.length} .proto files` : files.join(", ");
  const roots =
    paths.length > 0
      ? paths.map((path) => resolve(path))
      : [...new Set(files.map((f) => dirname(resolve(f))))];
  const standard = vendoredFolder();
  const includeDirs = [...roots, standard];
  const fileName = (path: string): string => nameBelow(path, includeDirs);
  const sources = new SourceReader(roots, standard, fileName);
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

/** Hint in errors of the parser, which supports less of the language than compilers do. */
const remedy =
  "if buf or protoc compiles it, serve the descriptor set of `buf build -o x.binpb` (--descriptors x.binpb)";

/** Reads sources with all that they import into one tree. */
class SourceReader {
  /** Names of the files that use edition 2024. */
  readonly inEdition2024 = new Set<string>();
  /** Values of options that were replaced by placeholders, see `prepareSource`. */
  readonly literals: string[] = [];
  readonly #root = new parser.Root();
  readonly #folders: readonly string[];
  readonly #standard: string;
  readonly #fileName: (path: string) => string;
  readonly #read = new Set<string>();

  constructor(folders: readonly string[], standard: string, fileName: (path: string) => string) {
    this.#folders = folders;
    this.#standard = standard;
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
      throw new SetupError(`${file}${message}; ${remedy}`, { cause });
    }
  }

  /** Parses a file into the tree and returns the paths of its imports. */
  #parse(path: string): string[] {
    const { text, isEdition2024 } = prepareSource(this.#text(path), this.literals);
    const name = this.#fileName(path);
    if (isEdition2024) this.inEdition2024.add(name);
    let parsed: tree.IParserResult;
    try {
      parse.filename = path;
      parsed = parse(text, this.#root, { keepCase: true, alternateCommentMode: true });
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new SetupError(`${name}: ${message}; ${remedy}`, { cause });
    } finally {
      parse.filename = null;
    }
    const weak = new Set(parsed.weakImports);
    return [...(parsed.imports ?? []), ...weak].flatMap((target) => {
      const builtIn = parser.common.get(target);
      if (builtIn !== null) return this.#addBuiltIn(target, builtIn);
      const found = this.#folders.map((folder) => join(folder, target)).find((file) => existsSync(file));
      if (found !== undefined) return [found];
      const standard = join(this.#standard, target);
      if (vendoredText(standard) !== undefined) return [standard];
      if (weak.has(target)) return [];
      throw new SetupError(
        `${name}: ${target} is imported but in none of ${[...this.#folders, this.#standard].join(", ")}; ` +
          "give the folder that has it by --proto-path",
      );
    });
  }

  #text(path: string): string {
    const standard = path.startsWith(this.#standard + sep) ? vendoredText(path) : undefined;
    return standard ?? readFileSync(path, "utf8");
  }

  /** Adds a file that is built into the parser to the tree. */
  #addBuiltIn(name: string, { nested }: tree.INamespace): [] {
    if (!this.#read.has(name) && nested !== undefined) this.#root.addJSON(nested);
    this.#read.add(name);
    return [];
  }
}

function locate(file: string, roots: readonly string[]): string {
  for (const candidate of [resolve(file), ...roots.map((root) => join(root, file))]) {
    if (existsSync(candidate)) return candidate;
  }
  throw new SetupError(`${file}: no such file, neither as a path nor below ${roots.join(", ")}`);
}

/** The import name of a file: its shortest path below one of the folders. */
function nameBelow(path: string, folders: readonly string[]): string {
  if (!isAbsolute(path)) return path; // One of the parser's built-in files.
  const below = folders.map((folder) => relative(folder, path)).filter((name) => !name.startsWith(".."));
  const name = below.toSorted((a, b) => a.length - b.length)[0] ?? path;
  return name.split(sep).join("/");
}
