/**
 * `npm run build`: an empty `dist/`, then the library as users import it, its types, the command, and the programs, each
 * a file that needs nothing but Node. With `--executable NAME` one of them as an executable too, which needs no Node.
 */
import { rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundleCommand, bundleLibrary, bundleOneFile, ownPrograms } from "./bundle.js";
import { endLike, runChild } from "./child.js";
import { dropUnreached, excuseMissingTypes } from "./declarations.js";
import { buildExecutable } from "./executable.js";
import { licenceNotices } from "./notices.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");
const executables = executablesOf(process.argv.slice(2));
rmSync(dist, { recursive: true, force: true });
const tsc = join(root, "node_modules/typescript/bin/tsc");
const [end, library, command, ...programs] = await Promise.all([
  runChild(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json")]),
  bundleLibrary(dist),
  bundleCommand(dist),
  ...ownPrograms.map((program) => bundleOneFile(join(dist, "programs"), program)),
]);
dropUnreached(dist);
excuseMissingTypes(root, dist);
for (const [results, folder] of [
  [[library], "src"],
  [[command], "src/cli"],
  [programs, "programs"],
]) {
  const inputs = results.flatMap(({ metafile }) => Object.keys(metafile.inputs));
  writeFileSync(join(dist, folder, "THIRD-PARTY-NOTICES"), licenceNotices(root, inputs));
}
for (const program of executables) await buildExecutable(join(dist, "executables"), program);
endLike(end);

/** The programs that the arguments `--executable NAME` ask for. */
function executablesOf(args) {
  const names = args.filter((word, index) => word !== "--executable" || index % 2 === 1);
  const known = new Map(ownPrograms.map((program) => [basename(program, ".ts"), program]));
  if (names.length * 2 !== args.length || !names.every((name) => known.has(name))) {
    throw new Error(
      `usage: npm run build -- [--executable NAME]…, with a NAME of ${[...known.keys()].join(", ")}`,
    );
  }
  return names.map((name) => known.get(name));
}
