/**
 * `npm test`: the check, then every test. `npm test -- FILE…` runs only these test files, without the check.
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { endLike, runChild } from "./child.js";

/** A test, or a whole test file, that takes longer than this has hung, in milliseconds. */
const timeoutMs = 180_000;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);
const files = process.argv.slice(2);

if (files.length === 0) {
  const check = await runChild(process.execPath, [join(root, "tools/check.js")]);
  if (check.code !== 0) endLike(check);
}
endLike(
  await runChild(process.execPath, [
    "--test",
    "--test-isolation=process",
    // Whole processes and real sockets in every file: more files at a time than cores only make each slower.
    "--test-concurrency=2",
    `--test-timeout=${timeoutMs}`,
    `--test-reporter=${process.stdout.isTTY ? "spec" : "tap"}`,
    ...(files.length === 0 ? ["test/**/*.test.ts"] : files),
  ]),
);
