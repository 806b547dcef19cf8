import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { SetupError } from "../../core/errors/setup-error.ts";
import { serviceFiles, templates } from "../new/fill.ts";
import { type ServiceNames, serviceNames } from "../new/project-names.ts";

const mainFile = "src/main.ts";

/**
 * Adds a service to the project in a folder: its contract, class and test as new files, and two lines of `src/main.ts`.
 *
 * @returns what was done, and the two lines where `main.ts` has no place for them
 * @throws SetupError outside of a project, and for files that are there already; nothing is written then
 */
export function addService(folder: string, name: string): string {
  const contracts = existsSync(join(folder, "proto"))
    ? globSync("**/*.proto", { cwd: join(folder, "proto") })
    : [];
  if (!existsSync(join(folder, "package.json")) || contracts.length === 0) {
    throw new SetupError(
      `${folder} is no project with contracts in proto/: cd to one, or make one by ts-ms new`,
    );
  }
  const names = serviceNames(name, packageBeside(folder, contracts.toSorted(), name));
  const files = serviceFiles(names, templates.service.service);
  const present = [...files.keys()].filter((path) => existsSync(join(folder, path)));
  if (present.length > 0) throw new SetupError(`${present.join(", ")} is there already: take another name`);
  writeAll(folder, files);
  const list = [...files.keys()].map((path) => `  ${path}\n`).join("");
  return `${names.Name}Service is added:\n\n${list}${register(folder, names)}`;
}

/** The package of a contract beside those of a project: `acme.orders.v1` where one is `acme.shop.v1`. */
function packageBeside(folder: string, contracts: readonly string[], name: string): string | undefined {
  for (const file of contracts) {
    const text = readFileSync(join(folder, "proto", file), "utf8");
    const [, outer, version] = /^\s*package\s+([\w.]+)\.\w+\.(v\d\w*)\s*;/m.exec(text) ?? [];
    if (outer !== undefined) return `${outer}.${serviceNames(name).proto}.${version}`;
  }
  return undefined;
}

/** Writes all files or none. */
function writeAll(folder: string, files: ReadonlyMap<string, string>): void {
  const written: string[] = [];
  try {
    for (const [path, text] of files) {
      const file = join(folder, path);
      const made = mkdirSync(dirname(file), { recursive: true });
      written.push(made ?? file);
      writeFileSync(file, text, { flag: "wx" });
    }
  } catch (cause) {
    for (const path of written) rmSync(path, { recursive: true, force: true });
    throw new SetupError(`the files of the service cannot be written: ${String(cause)}`, { cause });
  }
}

/** Adds the two lines that serve a service. @returns what was done, or what is left to do */
function register(folder: string, { Name, file }: ServiceNames): string {
  const importLine = `import { ${Name}Api } from "./${file}.ts";`;
  const path = join(folder, mainFile);
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const imported = lastMatch(text, /^import [^;]*? from "\.\/[^"]+";$/gm);
  const added = lastMatch(text, /^([ \t]*)(\w+)\.addService\(new \w+\([^()]*\)\);$/gm);
  if (imported === undefined || added === undefined || added.index < imported.index) {
    const lines = `  ${importLine}\n  app.addService(new ${Name}Api());\n`;
    return `\nAdd these lines where your program serves its services:\n\n${lines}`;
  }
  const [, indent = "", server = "app"] = added;
  const addLine = `${indent}${server}.addService(new ${Name}Api());`;
  const end = text.includes("\r\n") ? "\r\n" : "\n";
  const [afterImport, afterAdd] = [imported.index + imported[0].length, added.index + added[0].length];
  writeFileSync(
    path,
    text.slice(0, afterImport) +
      end +
      importLine +
      text.slice(afterImport, afterAdd) +
      end +
      addLine +
      text.slice(afterAdd),
  );
  return `  ${mainFile}: two lines\n`;
}

function lastMatch(text: string, pattern: RegExp): RegExpExecArray | undefined {
  return [...text.matchAll(pattern)].at(-1);
}
