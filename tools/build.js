/**
 * `npm run build`: an empty `dist/`, then the library as users import it, its types, the command, and the programs, each
 * a file that needs nothing but Node.
 */
import { rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundleCommand, bundleLibrary, bundlePrograms } from "./bundle.js";
import { endLike, runChild } from "./child.js";
import { dropUnreached, excuseMissingTypes } from "./declarations.js";
import { licenceNotices } from "./notices.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");
rmSync(dist, { recursive: true, force: true });
const tsc = join(root, "node_modules/typescript/bin/tsc");
const [end, library, command, programs] = await Promise.all([
  runChild(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json")]),
  bundleLibrary(dist),
  bundleCommand(dist),
  bundlePrograms(join(dist, "programs")),
]);
dropUnreached(dist);
excuseMissingTypes(root, dist);
for (const [{ metafile }, folder] of [
  [library, "src"],
  [command, "src/cli"],
  [programs, "programs"],
]) {
  const notices = licenceNotices(root, Object.keys(metafile.inputs));
  writeFileSync(join(dist, folder, "THIRD-PARTY-NOTICES"), notices);
}
endLike(end);
