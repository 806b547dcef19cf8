import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The source of each thing that users may import, by its specifier: `ts-ms`, `ts-ms/flags`, … */
export function publicSources(root: string): ReadonlyMap<string, string> {
  return new Map(
    modulesOf(root).map(([path, { default: built }]) => [`ts-ms${path.slice(1)}`, sourceOf(built)]),
  );
}

/** The `exports` of package.json with sources in place of what is built of them. */
export function sourceExports(root: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    modulesOf(root).map(([path, { default: built }]) => [path, `./${sourceOf(built)}`]),
  );
}

/** A line of `exports` in package.json that leads to a module. */
export interface ModuleExport {
  readonly types: string;
  readonly default: string;
}

/** The modules among the `exports` of package.json, by their sub-paths: `.`, `./flags`, … */
export function modulesOf(root: string): (readonly [path: string, files: ModuleExport])[] {
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    exports: Record<string, string | ModuleExport>; // As npm reads it.
  };
  return Object.entries(exports).flatMap(([path, files]) =>
    typeof files === "string" ? [] : [[path, files] as const],
  );
}

function sourceOf(built: string): string {
  return built.replace(/^\.\/dist\//, "").replace(/\.js$/, ".ts");
}

/** A name that a file exports. */
export interface ExportedName {
  readonly name: string;
  /** Whether it is a type alone. */
  readonly isType: boolean;
}

/**
 * The names that a file exports of other files, in their order.
 *
 * @throws Error if the file does anything else than to export names of other files, one by one.
 */
export function exportedNames(text: string): ExportedName[] {
  const code = text.replaceAll(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, "");
  const lines = /export\s+(type\s+)?\{([^}]*)\}\s+from\s+"[^"]+";/g;
  const others = code.replaceAll(lines, "").trim();
  if (others !== "") throw new Error(`no export of names from another file: ${others.split("\n", 1)[0]}`);
  return [...code.matchAll(lines)].flatMap(([, allTypes, list = ""]) =>
    list
      .split(",")
      .map((part) => part.trim())
      .filter(Boolean)
      .map((part) => ({
        name: part.replace(/^type\s+/, "").replace(/^.*\sas\s+/, ""),
        isType: allTypes !== undefined || part.startsWith("type "),
      })),
  );
}
