/** Programs of one file whose parts are compiled when they are needed. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

/** What stands in a part for the end of a comment. */
const escapedEnd = "*~/";

/**
 * Writes a program as one file: the parts that esbuild has split it into are text in a comment, and the beginning of the
 * file loads them one by one. So Node reads past what a run does not need, and keeps what it compiles of the rest, which a
 * file can ask for only before that is loaded.
 *
 * @param outdir Folder of the file; the maps of its parts go to `NAME.maps` in it.
 * @param outputFiles What esbuild has made, with a map for each part.
 * @param name Of the program: the file is `NAME.mjs`, as the part to begin with.
 */
export function writeOneFile(outdir, outputFiles, name) {
  const maps = `${name}.maps`;
  mkdirSync(join(outdir, maps), { recursive: true });
  const [ranges, texts] = [[], []];
  let end = 0;
  for (const { path, text } of outputFiles) {
    const file = basename(path);
    if (file.endsWith(".map")) {
      writeFileSync(join(outdir, maps, file), text);
      continue;
    }
    if (text.includes(escapedEnd)) throw new Error(`${file} has ${escapedEnd} in it`);
    const mapped = text.replace("//# sourceMappingURL=", `$&${maps}/`);
    const part = mapped.replaceAll("*/", escapedEnd);
    texts.push(part);
    ranges.push([file, [end, (end += part.length)]]);
  }
  const loader = readFileSync(join(import.meta.dirname, "one-file-loader.js"), "utf8")
    .replace("PARTS)", `${JSON.stringify(ranges)})`)
    .replace("+ ENTRY", `+ ${JSON.stringify(`${name}.mjs`)}`);
  writeFileSync(join(outdir, `${name}.mjs`), `${loader}function comment() {\n/*${texts.join("")}*/\n}\n`);
}
