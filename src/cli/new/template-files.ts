import { globSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";

/** The folder of the templates, whose files have the ending `.txt` so that no tool takes them for files of this project. */
const folder = join(import.meta.dirname, "../templates");

/**
 * The files of a folder of templates with their texts, by their paths in a project.
 *
 * `tools/bundle.js` replaces this module by one that contains the texts.
 */
export function templateFiles(name: string): ReadonlyMap<string, string> {
  const files = globSync(`${name}/**/{*,.*}.txt`, { cwd: folder });
  if (files.length === 0) throw new Error(`${join(folder, name)} has no templates`);
  return new Map(files.map((file) => [pathOf(file), readFileSync(join(folder, file), "utf8")]));
}

function pathOf(file: string): string {
  return file
    .split(sep)
    .slice(1)
    .join("/")
    .replace(/\.txt$/, "");
}
