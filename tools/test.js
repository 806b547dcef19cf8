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
import { availableParallelism, cpus, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { allStages, longStages, stagesOf } from "./test-groups.js";
import { failingFiles, outcomeOf, printOutcome, report, takeAgain } from "./test-outcome.js";

/** A test that takes longer than this has hung, in milliseconds. */
const testTimeoutMs = 120_000;

/** The same for a process of tests, and so much more for each of its files; it is ended. */
const groupTimeoutMs = 300_000;
const fileTimeoutMs = 2_000;

/** The same for everything, which only a test that never lets go of its thread reaches. */
const runTimeoutMs = process.argv.includes("--all") ? 3_600_000 : 2_400_000;

/** Of so many milliseconds at a time it is seen how much the processors have to do. */
const watchMs = 2_000;

/** Processors that are idle for this part of the time have room for one more process of tests. */
const idleShare = 0.35;

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
const bundled = bundleFor(stages.flat());
bundled.catch(() => {}); // The first group that needs it fails by it.
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

/** Bundles the programs that many tests start, if one of them is to run; they find these by `TEST_PROGRAMS`. */
async function bundleFor(lanes) {
  if (!lanes.some(({ groups }) => groups.some(startsPrograms))) return;
  const { bundlePrograms, commandProgram, ownPrograms } = await import("./bundle.js");
  const folder = join(memory, "programs");
  const fixtures = globSync("test/programs/fixtures/*-program.ts");
  await bundlePrograms(folder, [...ownPrograms, commandProgram, ...fixtures], { split: true });
  process.env.TEST_PROGRAMS = folder;
}

/** Whether tests of a group start programs, which have to be bundled before. */
function startsPrograms({ files = [] }) {
  return files.some((file) => /^test\/(?:programs|cli)\//.test(file));
}

/**
 * Runs the groups of a lane, so many at a time, and up to `spare` more while the processors have little to do; resolves
 * with their outcomes.
 */
async function runLane({ groups, concurrency, spare = 0 }) {
  const waiting = [...groups];
  const outcomes = [];
  const runNext = async () => {
    const group = waiting.shift();
    outcomes.push(await (group === "check" ? runCheck() : runGroup(group)));
  };
  const slot = async () => {
    while (waiting.length > 0) await runNext();
  };
  const others = new Set();
  const watch = async () => {
    while (waiting.length > 0) {
      const isIdle = await watchProcessors();
      if (!isIdle || waiting.length === 0 || others.size >= spare) continue;
      const one = runNext().finally(() => others.delete(one));
      others.add(one);
    }
    await Promise.all(others);
  };
  await Promise.all([...Array.from({ length: concurrency }, slot), ...(spare > 0 ? [watch()] : [])]);
  return outcomes.filter((outcome) => outcome !== undefined);
}

/** Whether the processors of this machine were idle for a good part of a short time. */
async function watchProcessors() {
  const times = () => {
    const all = cpus().map((one) => one.times);
    const idle = all.reduce((sum, one) => sum + one.idle, 0);
    return { idle, all: all.reduce((sum, { user, nice, sys, irq }) => sum + user + nice + sys + irq, idle) };
  };
  const before = times();
  await sleep(watchMs);
  const after = times();
  return after.idle - before.idle > idleShare * (after.all - before.all);
}

/** Runs the check in one slot, by one thread of each tool; ends the whole run if it fails. */
async function runCheck() {
  const env = { ...process.env, GOMAXPROCS: "1", RAYON_NUM_THREADS: "1" };
  const code = await runNode([join(root, "tools/check.js")], env);
  if (code !== 0) process.exit(code ?? 1);
}

/** Runs the files of a group in one process and prints what came out; resolves with it. */
async function runGroup(group) {
  if (startsPrograms(group)) await bundled;
  const file = join(memory, group.name.replaceAll("/", "-"));
  const limitMs = groupTimeoutMs + fileTimeoutMs * group.files.length;
  rmSync(`${file}.events`, { force: true });
  const code = await runNode(
    [
      "--test",
      "--test-isolation=none",
      `--test-timeout=${testTimeoutMs}`,
      `--test-reporter=${pathToFileURL(join(root, "tools/test-events.js")).href}`,
      // Not by standard output: a line that a test leaves unfinished there would spoil an event.
      `--test-reporter-destination=${file}.events`,
      `--import=${pathToFileURL(join(root, "tools/test-limit.js")).href}?ms=${limitMs}`,
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
