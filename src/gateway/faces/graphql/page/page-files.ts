import { readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * The text of a file of this folder. `tools/bundle.js` replaces this module in what it bundles by one that contains the
 * texts.
 */
export function pageText(file: string): string {
  return readFileSync(join(import.meta.dirname, file), "utf8");
}
