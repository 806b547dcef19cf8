/**
 * `npm test`: the check, then every test but the long ones. `npm test -- FILE…` runs only these test files, without the
 * check; `npm test -- --long` only those that measure or soak for a minute and more.
 *
 * Three lanes run beside one another: the tables of pure parts in one process, files that use the processor in a
 * process each, and files that mostly wait for sockets and graces (`*.waits.test.ts`), more of them at a time.
 *
 * A test that fails runs once more when the lanes are done: hundreds of them watch real sockets and real clocks, on
 * machines that others use too. What fails twice fails the run; what passes then is named at the end as flaky.
 */
import { spawn } from "node:child_process";
import { globSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, sep } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath, pathToFileURL } from "node:url";
import { endLike, runChild } from "./child.js";

/** A test that takes longer than this has hung, in milliseconds. */
const testTimeoutMs = 120_000;

/** The same for a whole test file; it is ended. */
const fileTimeoutMs = 300_000;

/** The same for everything, which only a test that never lets go of its thread reaches. */
const runTimeoutMs = 1_800_000;

/** More flaky tests than this fail a run of CI: then it is no accident. */
const maxFlakyInCi = 3;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);
const args = process.argv.slice(2);
const long = args.includes("--long");
const files = args.filter((argument) => argument !== "--long");

if (args.length === 0) {
  const check = await runChild(process.execPath, [join(root, "tools/check.js")]);
  if (check.code !== 0) endLike(check);
}

const memory = mkdtempSync(join(tmpdir(), "ts-ms-test-"));
process.on("exit", () => rmSync(memory, { recursive: true, force: true }));
const timeout = setTimeout(() => {
  console.error(`The tests still run after ${runTimeoutMs / 60_000} minutes.`);
  process.exit(1);
}, runTimeoutMs);

const lanes = files.length > 0 ? [lane("files", files, 2)] : long ? longLanes() : allLanes();
const startedAt = performance.now();
let outcomes = await Promise.all(lanes.map(runLane));
const first = outcomes.flatMap(({ failures }) => failures);
// Older versions of Node cannot remember what failed.
if (first.length > 0 && Number(process.versions.node.split(".", 1)[0]) >= 26) {
  console.log(`\n${first.length} failed and run ONCE MORE, alone:\n`);
  for (const [index, { failures }] of outcomes.entries()) {
    if (failures.length > 0)
      outcomes = outcomes.with(index, await runLane({ ...lanes[index], concurrency: 1 }));
  }
}
clearTimeout(timeout);
report(outcomes, first);

/** All test files but the long ones, by what they need. */
function allLanes() {
  const all = globSync("test/**/*.test.ts").map((file) => file.split(sep).join("/"));
  const short = all.filter((file) => !file.startsWith("test/long/"));
  const isPure = (file) => /^test\/(?:core|gateway)\//.test(file);
  const waits = (file) => file.endsWith(".waits.test.ts");
  return [
    {
      ...lane(
        "pure parts",
        short.filter((file) => isPure(file) && !waits(file)),
        1,
      ),
      isolation: "none",
    },
    lane("waiting", short.filter(waits), 3),
    lane(
      "behaviour",
      short.filter((file) => !isPure(file) && !waits(file)),
      2,
    ),
  ];
}

function longLanes() {
  return [lane("long", globSync("test/long/**/*.test.ts"), 1)];
}

/** Test files that run with so many processes at a time. */
function lane(name, chosen, concurrency) {
  return { name, files: chosen.sort(), concurrency, isolation: "process" };
}

/** Runs a lane, prints a line for each file and each failure; resolves with what came out. */
async function runLane({ name, files: chosen, concurrency, isolation }) {
  const outcome = { name, passed: 0, skipped: [], failures: [], broken: false };
  if (chosen.length === 0) return outcome;
  const child = spawn(
    process.execPath,
    [
      "--test",
      `--test-isolation=${isolation}`,
      `--test-concurrency=${concurrency}`,
      `--test-timeout=${testTimeoutMs}`,
      `--test-reporter=${pathToFileURL(join(root, "tools/test-events.js")).href}`,
      "--test-reporter-destination=stdout",
      `--test-rerun-failures=${join(memory, `${name}.json`)}`,
      `--import=${pathToFileURL(join(root, "tools/test-limit.js")).href}?ms=${fileTimeoutMs}`,
      ...chosen,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const ended = new Promise((resolve) => child.once("close", resolve));
  const counts = new Map();
  for await (const line of createInterface({ input: child.stdout })) {
    const event = eventOf(line);
    if (event === undefined) console.log(line);
    else take(event, outcome, counts);
  }
  outcome.broken = (await ended) !== 0 && outcome.failures.length === 0;
  return outcome;
}

function eventOf(line) {
  try {
    return JSON.parse(line);
  } catch {
    return undefined; // What a test itself wrote.
  }
}

function take(event, outcome, counts) {
  const file = event.file === undefined ? "" : relative(root, event.file).split(sep).join("/");
  switch (event.type) {
    case "test:stdout":
    case "test:stderr":
      process.stdout.write(event.message);
      return;
    case "test:summary": {
      if (event.file === undefined) return;
      const seconds = (event.ms / 1000).toFixed(1);
      console.log(
        `${event.success ? "ok  " : "FAIL"} ${file} (${counts.get(file) ?? 0} tests, ${seconds} s)`,
      );
      return;
    }
    default:
      // A suite fails because of a test in it, which counts for itself.
      if (event.isSuite && (event.error === undefined || /\bsubtests? failed\b/.test(event.error))) return;
      counts.set(file, (counts.get(file) ?? 0) + 1);
      if (event.type === "test:pass" && event.skipped === undefined) outcome.passed++;
      else if (event.type === "test:pass") outcome.skipped.push({ ...event, file });
      else fail(event, file, outcome);
  }
}

function fail(event, file, outcome) {
  outcome.failures.push({ name: event.name, file });
  console.log(`FAIL ${file}:${event.line ?? 0} ${event.name}\n${indent(event.error ?? "")}`);
}

function indent(text) {
  return text.replaceAll(/^/gm, "     ");
}

/** Prints what came out, with a closing line that programs read, and ends the process. */
function report(outcomes, first) {
  const sum = (count) => outcomes.reduce((total, outcome) => total + count(outcome), 0);
  const failed = outcomes.flatMap(({ failures }) => failures);
  const isSame = (one) => (other) => one.name === other.name && one.file === other.file;
  const flaky = first.filter((test) => !failed.some(isSame(test)));
  const broken = outcomes.filter((outcome) => outcome.broken);
  const skipped = outcomes.flatMap((outcome) => outcome.skipped);
  console.log("");
  for (const { file, name, skipped: why } of skipped) console.log(`skipped: ${file}: ${name} (${why})`);
  for (const { file, name } of flaky) console.log(`FLAKY, failed once: ${file}: ${name}`);
  for (const { file, name } of failed) console.log(`FAILED: ${file}: ${name}`);
  for (const { name } of broken) console.log(`FAILED: the run of ${name} ended badly`);
  console.log(`in ${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
  console.log(
    `${sum(({ passed }) => passed)} passed, ${failed.length + broken.length} failed, ${skipped.length} skipped`,
  );
  const tooFlaky = process.env.CI !== undefined && flaky.length > maxFlakyInCi;
  if (tooFlaky) console.log(`More than ${maxFlakyInCi} tests were flaky: this run counts as failed.`);
  process.exit(failed.length > 0 || broken.length > 0 || tooFlaky ? 1 : 0);
}
