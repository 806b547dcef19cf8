/** The declarations of types that users get. */
import { globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { inside } from "./inside.js";

/**
 * Removes the declarations that nothing of what users import refers to: tsc writes them for every source, and most of
 * the sources are no part of the surface.
 */
export function dropUnreached(dist) {
  const files = globSync("**/*.d.ts", { cwd: dist }).map((path) => join(dist, path));
  const waiting = files.filter((file) => /[\\/]src[\\/](?:index|entries[\\/][\w-]+)\.d\.ts$/.test(file));
  const reached = new Set();
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (reached.has(file)) continue;
    reached.add(file);
    const named = readFileSync(file, "utf8").matchAll(/\b(?:from|import)(?: |\()"(\.[^"]+)"/g);
    for (const [, path] of named) waiting.push(resolve(dirname(file), path.replace(/\.[jt]s$/, ".d.ts")));
  }
  for (const file of files) if (!reached.has(file)) rmSync(file);
}

/**
 * Lets declarations be checked without the packages that they name and that a user need not have: optional peers, and
 * those whose code is inside. A type of theirs is `any` then.
 */
export function excuseMissingTypes(root, dist) {
  const { peerDependenciesMeta } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const names = [...Object.keys(peerDependenciesMeta), ...inside].join("|");
  const line = new RegExp(`^(?:import|export) .*from "(?:${names})(?:/[^"]*)?";$`, "gm");
  for (const path of globSync("**/*.d.ts", { cwd: dist })) {
    const file = join(dist, path);
    const text = readFileSync(file, "utf8");
    const excused = text.replace(line, "// @ts-ignore: the package may be missing\n$&");
    if (excused !== text) writeFileSync(file, excused);
  }
}
