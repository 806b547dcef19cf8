import { existsSync } from "node:fs";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { FileRegistry } from "@bufbuild/protobuf";
// proto-loader's own descriptors lose imports, options and the borders of files; the tree it parsed has them all.
import { addCommonProtos, loadProtosWithOptionsSync } from "@grpc/proto-loader/build/src/util.js";
import { linkFiles } from "./file-set.ts";
import { knownFiles } from "./known-files.ts";
import { toFileDescriptors } from "./proto-tree.ts";
import { withCustomOptions } from "./proto-options.ts";
import { SetupError } from "../setup-error.ts";

addCommonProtos();

/**
 * Compiles `.proto` files to descriptors that give the same routes as those of `buf build`.
 *
 * @param files Paths of the files, or their names below one of `paths`.
 * @param paths Folders that imports are looked up in; the folder of each file unless given. `google/api` and
 *   `google/protobuf` resolve by themselves.
 * @throws Error naming the file, and the line where the parser knows it.
 */
export function loadProtoSources(files: readonly string[], paths: readonly string[] = []): FileRegistry {
  const label = files.join(", ");
  const roots =
    paths.length > 0
      ? paths.map((path) => resolve(path))
      : [...new Set(files.map((f) => dirname(resolve(f))))];
  const includeDirs = [...roots, vendored()];
  const sources = files.map((file) => locate(file, roots));
  const tree = parse(sources, includeDirs, label);
  const fileName = (path: string): string => nameBelow(path, includeDirs);
  const { files: plain, options } = toFileDescriptors(tree, fileName);
  const own = plain.filter((file) => !knownFiles.has(file.name));
  const linked = linkFiles(own, label);
  return options.length === 0 ? linked : linkFiles(withCustomOptions(own, options, linked), label);
}

function parse(sources: string[], includeDirs: string[], label: string) {
  try {
    // The parser's asynchronous form throws where nobody can catch it when a type is missing.
    return loadProtosWithOptionsSync(sources, { includeDirs, keepCase: true });
  } catch (cause) {
    throw new SetupError(`${label}: ${explain(cause, includeDirs)}`, { cause });
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

function explain(cause: unknown, folders: readonly string[]): string {
  if (!(cause instanceof Error)) return String(cause);
  if ("code" in cause && cause.code === "ENOENT" && "path" in cause) {
    return `${nameBelow(resolve(String(cause.path)), [process.cwd()])} is imported but in none of ${folders.join(", ")}`;
  }
  return cause.message;
}
