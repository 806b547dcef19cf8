import { globSync, readFileSync } from "node:fs";
import { sep } from "node:path";

/**
 * The stages of `npm test`, here one: lanes that run beside one another, `cpuSlots` at a time of the groups that use the
 * processor, the check among them, and one more of those that wait.
 */
export function allStages(cpuSlots) {
  const files = testFiles().filter((file) => !isLong(file));
  const busy = busyGroups(files.filter((file) => !waits(file)));
  return [
    [
      { groups: ["check", ...busy], concurrency: cpuSlots },
      { groups: files.filter(waits).map(alone), concurrency: cpuSlots + 1 },
    ],
  ];
}

/**
 * The stages of `npm test -- --long`: files that measure, one at a time; behind them all others. With `--all` also those
 * that take minutes of a whole processor.
 */
export function longStages(cpuSlots, withFull) {
  const files = testFiles().filter((file) => isLong(file) && (withFull || !isFull(file)));
  // Those of `test/long/` take longest.
  const others = files
    .filter((file) => !measures(file))
    .sort((a, b) => Number(isOfLong(b)) - Number(isOfLong(a)));
  return [
    [{ groups: files.filter(measures).map(alone), concurrency: 1 }],
    [{ groups: others.map(alone), concurrency: cpuSlots + 1 }],
  ];
}

/** The one stage of `npm test -- FILE…`: each file in a process of its own, as if there were no others. */
export function stagesOf(files, cpuSlots) {
  return [[{ groups: files.map(alone), concurrency: cpuSlots }]];
}

/**
 * Files by the process that runs them. Half a second of a process is loading what is under test, so the tables of pure
 * parts share one, and tests of behaviour share one for each topic. Those of whole programs have one each.
 *
 * Those that take long come first, so that none is left to run by itself at the end.
 */
function busyGroups(files) {
  const shared = Map.groupBy(
    files.filter((file) => !needsProcess(file)),
    nameOfGroup,
  );
  const groups = [...shared].map(([name, ofGroup]) => ({ name, files: ofGroup }));
  return [
    ...groups.sort((a, b) => b.files.length - a.files.length),
    ...files.filter(needsProcess).map(alone),
  ];
}

/** The name of the group that a file shares with others. */
function nameOfGroup(file) {
  const [, kind, topic] = file.split("/");
  if (["core", "gateway", "hub", "hub-client"].includes(kind)) return "pure parts";
  if (["messaging", "dispatch", "saga", "services"].includes(kind)) return "parts of messages and services";
  return kind === "behaviour" ? `test/behaviour/${topic}` : `test/${kind}`;
}

function alone(file) {
  return { name: file, files: [file] };
}

/** Such a file waits for sockets and graces most of its time. */
function waits(file) {
  return file.includes(".waits.");
}

/** Tests that measure, attack, try many values or start many programs. */
function isLong(file) {
  return isOfLong(file) || file.endsWith(".long.test.ts");
}

function isOfLong(file) {
  return file.startsWith("test/long/");
}

/** Such a file is too much for each change. */
function isFull(file) {
  return file.includes(".full.");
}

/** What runs beside such a file would change what it measures. */
function measures(file) {
  return file.endsWith(".alone.test.ts");
}

/** Whether a file cannot share the process of others. */
function needsProcess(file) {
  return (
    /^test\/(?:bench|cli|contracts|programs)\//.test(file) || measuresMemory(file) || runsSuiteAgain(file)
  );
}

/** Such a file sets a variable that the others must not see, and imports one of them, which a process does only once. */
function runsSuiteAgain(file) {
  return file.endsWith(".grpc-js.test.ts");
}

/** What other tests have left to the collector would count as this one's. */
function measuresMemory(file) {
  return readFileSync(file, "utf8").includes("process.memoryUsage");
}

function testFiles() {
  return globSync("test/**/*.test.ts")
    .map((file) => file.split(sep).join("/"))
    .sort();
}
