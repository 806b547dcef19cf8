/**
 * `npm test`: the check, then every test. `npm test -- FILE…` runs only these test files, without the check.
 */
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { endLike, runChild } from "./child.js";

/** A test that takes longer than this has hung, in milliseconds. */
const testTimeoutMs = 120_000;

/** The same for a whole test file; it is ended. */
const fileTimeoutMs = 300_000;

/** The same for everything, which only a test that never lets go of its thread reaches. */
const runTimeoutMs = 1_800_000;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);
const files = process.argv.slice(2);

if (files.length === 0) {
  const check = await runChild(process.execPath, [join(root, "tools/check.js")]);
  if (check.code !== 0) endLike(check);
}

const startedAt = performance.now();
const args = [
  "--test",
  "--test-isolation=process",
  // Whole processes and real sockets in every file: more files at a time than cores only make each slower.
  "--test-concurrency=2",
  `--test-timeout=${testTimeoutMs}`,
  `--test-reporter=${process.stdout.isTTY ? "spec" : "tap"}`,
  `--import=${pathToFileURL(join(root, "tools/test-limit.js")).href}?ms=${fileTimeoutMs}`,
  ...(files.length === 0 ? ["test/**/*.test.ts"] : files),
];
const ended = () => performance.now() - startedAt > runTimeoutMs;
endLike(await runChild(process.execPath, args, { ended }));
