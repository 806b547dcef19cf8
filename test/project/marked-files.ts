import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * The files that README.md shows, by name: code blocks with `<!-- file: NAME -->` on the line before the fence.
 *
 * Several blocks of one name are parts of one file, in order.
 */
export function markedFiles(root: string): ReadonlyMap<string, string> {
  const path = join(root, "README.md");
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const files = new Map<string, string>();
  for (const [, name = "", body = ""] of text.matchAll(/^<!-- file: (\S+) -->\n+```\w*\n([\s\S]*?)^```$/gm)) {
    files.set(name, (files.get(name) ?? "") + body);
  }
  return files;
}
