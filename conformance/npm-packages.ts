import { execFile } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { Missing, toolCache } from "./tools.ts";

const run = promisify(execFile);

/**
 * The folder of packages of npm, which are installed into the cache, with what they need and without their scripts.
 *
 * @param name of the folder, before the versions
 * @param packages with their versions: `@stoplight/prism-cli@5.16.0`
 * @throws Missing if they cannot be installed
 */
export async function npmPackages(name: string, ...packages: readonly string[]): Promise<string> {
  const versions = packages.map((spec) => spec.slice(spec.lastIndexOf("@") + 1));
  const folder = join(toolCache, [name, ...versions].join("-"));
  const wanted = packages.map((spec) => join(folder, "node_modules", spec.slice(0, spec.lastIndexOf("@"))));
  if (wanted.every((path) => existsSync(join(path, "package.json")))) return folder;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  const words = ["install", "--no-audit", "--no-fund", "--save-exact", "--ignore-scripts", ...packages];
  await run("npm", words, { cwd: folder }).catch((cause: unknown) => {
    throw new Missing(
      `${packages.join(", ")} of npm cannot be installed: ${String(cause).split("\n").at(-1)}`,
    );
  });
  return folder;
}
