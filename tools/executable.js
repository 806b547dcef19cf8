/** Programs as executables: Node itself with the program inside. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { bundlePrograms } from "./bundle.js";

/**
 * Builds an executable, `NAME-PLATFORM-PROCESSOR` in a folder, from a program, `…/NAME.ts`, with the Node that runs this
 * (26 or newer). What it compiles to is inside, so that it needs no cache of its own.
 */
export async function buildExecutable(outdir, program) {
  const name = basename(program, ".ts");
  const scratch = mkdtempSync(join(tmpdir(), "ts-ms-executable-"));
  try {
    const result = await bundlePrograms(scratch, [program], { minified: true });
    mkdirSync(outdir, { recursive: true });
    const output = join(outdir, `${name}-${process.platform}-${process.arch}`);
    const config = {
      main: join(scratch, `${name}.mjs`),
      mainFormat: "module",
      output,
      useCodeCache: true,
      disableExperimentalSEAWarning: true,
    };
    writeFileSync(join(scratch, "executable.json"), JSON.stringify(config));
    execFileSync(process.execPath, ["--build-sea", join(scratch, "executable.json")], { stdio: "pipe" });
    return { ...result, output };
  } finally {
    rmSync(scratch, { recursive: true });
  }
}
