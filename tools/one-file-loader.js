/**
 * The beginning of a program of one file, see `one-file.js`: PARTS and ENTRY are put in there, and all parts behind the
 * last line.
 */
import { enableCompileCache, flushCompileCache, registerHooks } from "node:module";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

/** How long after the start what was compiled is written, in milliseconds: programs may end by a signal that kills. */
const flushAfterMs = 5_000;

const ranges = new Map(PARTS);
/** The address of a part is that of the file with the part's name behind it. */
const parts = `${import.meta.url}?`;
const text = String(comment);
const begin = text.indexOf("/*") + 2;

registerHooks({
  resolve(specifier, context, next) {
    if (!specifier.startsWith("./") || context.parentURL?.startsWith(parts) !== true)
      return next(specifier, context);
    return { url: parts + specifier.slice(2), format: "module", shortCircuit: true };
  },
  load(url, context, next) {
    const range = url.startsWith(parts) ? ranges.get(url.slice(parts.length)) : undefined;
    if (range === undefined) return next(url, context);
    const source = text.slice(begin + range[0], begin + range[1]).replaceAll("*~/", "*" + "/");
    return { format: "module", source, shortCircuit: true };
  },
});
keepCompiled();
await import(parts + ENTRY);

/** Turns Node's compile cache on, in a folder of this user; where there is none, the program goes on without. */
function keepCompiled() {
  const { TS_MS_COMPILE_CACHE: choice, XDG_CACHE_HOME: caches } = process.env;
  if (choice === "off") return;
  try {
    const folder = caches !== undefined && isAbsolute(caches) ? caches : join(homedir(), ".cache");
    enableCompileCache(join(folder, "ts-ms"));
    setTimeout(() => flushCompileCache(), flushAfterMs).unref();
  } catch {
    // An unknown user has no home.
  }
}
