import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Owner } from "./import-rules.ts";

/** A row of a table in docs/dependencies.md. */
export interface DependencyRow {
  readonly name: string;
  readonly version: string;
  /** What the package is for, and why this one. */
  readonly reasons: readonly string[];
  readonly owner: Owner;
}

/**
 * The tables of docs/dependencies.md: packages that are installed with `ts-ms` or for a feature of it, packages whose
 * code is inside it, and packages that only this repository needs.
 */
export interface DependencyTable {
  readonly runtime: readonly DependencyRow[];
  readonly inside: readonly DependencyRow[];
  readonly development: readonly DependencyRow[];
}

/** Reads docs/dependencies.md; throws when a table is not where it is expected. */
export function readDependencyTable(root: string): DependencyTable {
  const text = readFileSync(join(root, "docs/dependencies.md"), "utf8");
  return {
    runtime: readTable(text, "Runtime"),
    inside: readTable(text, "Inside"),
    development: readTable(text, "Development"),
  };
}

function readTable(text: string, heading: string): DependencyRow[] {
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`docs/dependencies.md has no section "${heading}"`);
  return section
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) => {
      const [name = "", version = "", ...rest] = line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim());
      return {
        name: unquote(name),
        version,
        reasons: rest.slice(0, -1),
        owner: readOwner(rest.at(-1) ?? ""),
      };
    });
}

function readOwner(cell: string): Owner {
  return cell === "anywhere" || cell === "one file"
    ? cell
    : cell.split(",").map((path) => unquote(path.trim()));
}

function unquote(cell: string): string {
  return cell.replace(/^`(.*)`$/, "$1");
}
