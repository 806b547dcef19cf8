/**
 * `node tools/run.js PROGRAM [ARGUMENTS…]`: what every npm script goes through.
 *
 * Plain JavaScript that any Node from 20 on understands and that needs no package: it installs what is missing or stale
 * (the root's packages and the pinned Node), then runs the program on the pinned Node, or on the Node it was started
 * with where no platform package fits. Signals and the exit code pass through.
 */
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { endLike, runChild } from "./child.js";
import { installMissing } from "./install.js";
import { pickNode } from "./node-version.js";
import { watchedNpm } from "./npm-parent.js";

const ended = watchedNpm();
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [program, ...args] = process.argv.slice(2);

try {
  if (program === undefined) throw new Error("usage: node tools/run.js PROGRAM [ARGUMENTS…]");
  await installMissing(root, ["tools/node", "."]);
  const path = [join(root, "node_modules/.bin")];
  // Half of a start is compiling what was compiled before.
  process.env.NODE_COMPILE_CACHE ??= join(root, ".cache/compile");
  endLike(await runChild(pickNode(root), [resolve(root, program), ...args], { path, ended }));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
