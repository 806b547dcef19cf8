/**
 * `npm test`: the check, then every test. `npm test -- FILE…` runs only these test files, without the check.
 *
 * Tests that fail are told and run once more, alone: hundreds of them watch real sockets and real clocks, on machines
 * that others use too, and what fails twice is no accident.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
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
const ended = () => performance.now() - startedAt > runTimeoutMs;
const args = [
  "--test",
  "--test-isolation=process",
  // Whole processes and real sockets in every file: more files at a time than cores only make each slower.
  "--test-concurrency=2",
  `--test-timeout=${testTimeoutMs}`,
  `--test-reporter=${process.stdout.isTTY ? "spec" : "tap"}`,
  `--import=${pathToFileURL(join(root, "tools/test-limit.js")).href}?ms=${fileTimeoutMs}`,
];
const chosen = files.length === 0 ? ["test/**/*.test.ts"] : files;

if (Number(process.versions.node.split(".", 1)[0]) < 26) {
  endLike(await runChild(process.execPath, [...args, ...chosen], { ended })); // It cannot remember what failed.
}

const memory = mkdtempSync(join(tmpdir(), "ts-ms-test-"));
const run = () =>
  runChild(process.execPath, [...args, `--test-rerun-failures=${join(memory, "failures.json")}`, ...chosen], {
    ended,
  });
let result = await run();
if (result.code === 1 && !ended()) {
  console.log(
    "\n# TESTS FAILED: those that did, see above, are run ONCE MORE; the others are not repeated\n",
  );
  result = await run();
}
rmSync(memory, { recursive: true, force: true });
endLike(result);
