/**
 * `npm test`: the check, and every test but the long ones. `npm test -- FILE…` runs only these test files, without the
 * check; `npm test -- --long` only the long ones: in `test/long/` those that measure, soak for a minute and more, or
 * install the package; beside their topic, as `*.long.test.ts`, those that attack, try many values or start many programs.
 * `npm test -- --long --all` also those of them that take minutes of a whole processor, `*.full.test.ts`.
 *
 * Test files run in groups, a process each, and the groups in lanes (`test-groups.js`): some use the processor, others
 * mostly wait for sockets and graces, more of them at a time.
 *
 * Files with a test that fails run again when the lanes are done, up to twice: hundreds of tests watch real sockets and
 * real clocks, on machines that others use too. What fails each time fails the run; what passes then is named at the end
 * as flaky.
 */
import { spawn } from "node:child_process";
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { allStages, longStages, stagesOf } from "./test-groups.js";
import { failingFiles, outcomeOf, printOutcome, report, takeAgain } from "./test-outcome.js";

/** A test that takes longer than this has hung, in milliseconds. */
const testTimeoutMs = 120_000;

/** The same for a process of tests; it is ended. */
const groupTimeoutMs = 300_000;

/** The same for everything, which only a test that never lets go of its thread reaches. */
const runTimeoutMs = process.argv.includes("--all") ? 3_600_000 : 2_400_000;

/** How often a test may fail before it fails the run. */
const maxRuns = 3;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);
const args = process.argv.slice(2);
const files = args.filter((argument) => argument !== "--long" && argument !== "--all");

const children = new Set();
const memory = mkdtempSync(join(tmpdir(), "ts-ms-test-"));
/** Half of the start of a process is the types that leave its sources, and their first compilation: once for all. */
const compiled = { NODE_COMPILE_CACHE: join(memory, "compiled") };
process.on("exit", () => {
  for (const child of children) child.kill();
  rmSync(memory, { recursive: true, force: true });
});
const timeout = setTimeout(() => {
  console.error(`The tests still run after ${runTimeoutMs / 60_000} minutes.`);
  process.exit(1);
}, runTimeoutMs);

const startedAt = performance.now();
const cpuSlots = Math.min(Math.max(availableParallelism(), 2), 4);
const chosen = files.length > 0 ? stagesOf(files, cpuSlots) : undefined;
const stages =
  chosen ?? (args.includes("--long") ? longStages(cpuSlots, args.includes("--all")) : allStages(cpuSlots));
await bundleFor(stages.flat());
const outcomes = [];
for (const lanes of stages) outcomes.push(...(await Promise.all(lanes.map(runLane))).flat());
for (let run = 2; run <= maxRuns; run++) {
  const failing = outcomes.filter(({ failures }) => failures.length > 0);
  if (failing.length === 0) break;
  const count = failing.reduce((sum, { failures }) => sum + failures.length, 0);
  console.log(`\n${count} failed; their files run AGAIN, alone:\n`);
  for (const outcome of failing) takeAgain(outcome, await runGroup(failingFiles(outcome)));
}
clearTimeout(timeout);
process.exit(report(outcomes, performance.now() - startedAt));

/** Bundles the programs that many tests start; the tests find them by `TEST_PROGRAMS`. */
async function bundleFor(lanes) {
  const files = lanes.flatMap(({ groups }) => groups.flatMap(({ files = [] }) => files));
  if (!files.some((file) => /^test\/(?:programs|cli)\//.test(file))) return;
  const { bundlePrograms, commandProgram, ownPrograms } = await import("./bundle.js");
  const folder = join(memory, "programs");
  const fixtures = globSync("test/programs/fixtures/*-program.ts");
  await bundlePrograms(folder, [...ownPrograms, commandProgram, ...fixtures], { split: true });
  process.env.TEST_PROGRAMS = folder;
}

/** Runs the groups of a lane, so many at a time; resolves with their outcomes. */
async function runLane({ groups, concurrency }) {
  const waiting = groups.values();
  const outcomes = [];
  // They take from the same iterator.
  const slots = Array.from({ length: concurrency }, async () => {
    for (const group of waiting) outcomes.push(await (group === "check" ? runCheck() : runGroup(group)));
  });
  await Promise.all(slots);
  return outcomes.filter((outcome) => outcome !== undefined);
}

/** Runs the check in one slot, by one thread of each tool; ends the whole run if it fails. */
async function runCheck() {
  const env = { ...process.env, GOMAXPROCS: "1", RAYON_NUM_THREADS: "1" };
  const code = await runNode([join(root, "tools/check.js")], env);
  if (code !== 0) process.exit(code ?? 1);
}

/** Runs the files of a group in one process and prints what came out; resolves with it. */
async function runGroup(group) {
  const file = join(memory, group.name.replaceAll("/", "-"));
  rmSync(`${file}.events`, { force: true });
  const code = await runNode(
    [
      "--test",
      "--test-isolation=none",
      `--test-timeout=${testTimeoutMs}`,
      `--test-reporter=${pathToFileURL(join(root, "tools/test-events.js")).href}`,
      // Not by standard output: a line that a test leaves unfinished there would spoil an event.
      `--test-reporter-destination=${file}.events`,
      `--import=${pathToFileURL(join(root, "tools/test-limit.js")).href}?ms=${groupTimeoutMs}`,
      join(root, "tools/test-files.js"),
    ],
    { ...process.env, ...compiled, TEST_FILES: group.files.join("\n") },
  );
  const events = existsSync(`${file}.events`) ? readFileSync(`${file}.events`, "utf8") : "";
  const outcome = outcomeOf(group, events, code);
  printOutcome(outcome);
  return outcome;
}

/** Runs Node to its end; resolves with its exit code, null for a signal. */
function runNode(nodeArgs, env) {
  const child = spawn(process.execPath, nodeArgs, { env, stdio: ["ignore", "inherit", "inherit"] });
  children.add(child);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      children.delete(child);
      resolve(code);
    });
  });
}
