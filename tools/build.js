/** `npm run build`: compiles the published part of the sources into an empty `dist/`. */
import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { endLike, runChild } from "./child.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
rmSync(join(root, "dist"), { recursive: true, force: true });
const tsc = join(root, "node_modules/typescript/bin/tsc");
endLike(await runChild(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json")]));
