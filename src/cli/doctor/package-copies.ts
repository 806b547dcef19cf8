import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { foldersUpwards } from "../folders-upwards.ts";

/** One copy of an installed package. */
export interface PackageCopy {
  readonly path: string;
  readonly version: string;
}

/** The copy of a package that a folder's own modules load; undefined if it is not installed. */
export function installedCopy(folder: string, name: string): PackageCopy | undefined {
  for (const at of foldersUpwards(folder)) {
    const copy = copyAt(join(at, "node_modules", name));
    if (copy !== undefined) return copy;
  }
  return undefined;
}

/** The copies of a package that a folder's own modules and their packages load, the folder's own first. */
export function copiesOf(folder: string, name: string): readonly PackageCopy[] {
  const own = installedCopy(folder, name);
  const nested = [...nestedFolders(join(folder, "node_modules"))].map((path) => copyAt(join(path, name)));
  return [own, ...nested].filter((copy) => copy !== undefined);
}

function copyAt(path: string): PackageCopy | undefined {
  const file = join(path, "package.json");
  if (!existsSync(file)) return undefined;
  const { version } = JSON.parse(readFileSync(file, "utf8")) as { version?: string };
  return { path, version: version ?? "0.0.0" };
}

/** Every `node_modules` inside of a package, at any depth. */
function* nestedFolders(folder: string): Generator<string> {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (!entry.isDirectory() || entry.name.startsWith(".")) continue; // Links lead to other projects.
    const path = join(folder, entry.name);
    if (entry.name.startsWith("@")) {
      for (const scoped of readdirSync(path)) yield* inside(join(path, scoped));
    } else yield* inside(path);
  }
}

function* inside(packageFolder: string): Generator<string> {
  const nested = join(packageFolder, "node_modules");
  if (!existsSync(nested)) return;
  yield nested;
  yield* nestedFolders(nested);
}

/** Whether a version is in a range of the forms `^1.2.3` and `>=1.2.3 <2.0.0`. */
export function satisfies(version: string, range: string): boolean {
  return range.split(/\s+/).every((part) => {
    const [, sign = "", bound = ""] = /^(\^|>=|<)?(\d+\.\d+\.\d+)$/.exec(part) ?? [];
    if (bound === "") return true;
    if (sign === "<") return compare(version, bound) < 0;
    if (sign === "" && version !== bound) return false;
    return compare(version, bound) >= 0 && (sign !== "^" || compare(version, nextBreaking(bound)) < 0);
  });
}

function compare(a: string, b: string): number {
  const [left, right] = [numbers(a), numbers(b)];
  for (const [index, value] of left.entries()) {
    if (value !== right[index]) return value - (right[index] ?? 0);
  }
  return 0;
}

function numbers(version: string): readonly number[] {
  return (version.split(/[-+]/, 1)[0] ?? "").split(".").map(Number);
}

/** The first version that `^` leaves out: the next of the leftmost number that is not 0. */
function nextBreaking(bound: string): string {
  const [major = 0, minor = 0, patch = 0] = numbers(bound);
  if (major > 0) return `${major + 1}.0.0`;
  return minor > 0 ? `0.${minor + 1}.0` : `0.0.${patch + 1}`;
}
