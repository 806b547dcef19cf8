import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { SetupError } from "../errors/setup-error.ts";

/**
 * The folder with google/api and other standard protos in this package.
 *
 * `tools/bundle.js` replaces this module in programs of one file by one that contains the texts.
 */
export function vendoredFolder(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const candidate = join(folder, "proto");
    if (existsSync(join(candidate, "google/api/annotations.proto"))) return candidate;
    if (dirname(folder) === folder) throw new SetupError("the package's own proto folder is missing");
  }
}

/** The text of a file of `vendoredFolder()` by its path, undefined when there is none. */
export function vendoredText(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}
