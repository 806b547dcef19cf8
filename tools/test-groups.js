import { globSync, readFileSync, statSync } from "node:fs";
import { sep } from "node:path";

/**
 * The stages of `npm test`, here one: two lanes that run beside one another, the check and the groups that use the
 * processor, and those that wait; of each one group more at a time than there are processors, since all wait in part.
 */
export function allStages(cpuSlots) {
  const files = testFiles().filter((file) => !isLong(file));
  const busy = busyGroups(files.filter((file) => !waits(file)));
  return [
    [
      { groups: ["check", ...busy], concurrency: cpuSlots + 1, spare: 1 },
      { groups: files.filter(waits).map(alone), concurrency: cpuSlots + 1 },
    ],
  ];
}

/**
 * The stages of `npm test -- --long`: files that measure, one at a time; behind them all others, more of them at a time
 * while they wait. With `--all` also those that take minutes of a whole processor.
 */
export function longStages(cpuSlots, withFull) {
  const files = testFiles().filter((file) => isLong(file) && (withFull || !isFull(file)));
  const others = files
    .filter((file) => !measures(file))
    .sort((a, b) => Number(takesLong(b)) - Number(takesLong(a)));
  return [
    [{ groups: files.filter(measures).map(alone), concurrency: 1 }],
    [{ groups: others.map(alone), concurrency: cpuSlots + 1, spare: cpuSlots + 1 }],
  ];
}

/** What takes most of a minute begins first, so that none is left to run by itself at the end. */
function takesLong(file) {
  return (
    isOfLong(file) ||
    /\/(?:rabbitmq|adoption|kept-model|presence-model|saga-model|model|docs|stop|workers|chat-page|command-line|frame-attacks|topics|ports|gates)[\w-]*\.[\w.]*long\./.test(
      file,
    )
  );
}

/** The one stage of `npm test -- FILE…`: each file in a process of its own, as if there were no others. */
export function stagesOf(files, cpuSlots) {
  return [[{ groups: files.map(alone), concurrency: cpuSlots }]];
}

/** So many processes share the topics of `test/behaviour`: few, for each loads what is under test once more. */
const topicGroups = 6;

/**
 * Files by the process that runs them. A second of the processor is loading what is under test, so the tables of pure
 * parts share one, and topics of behaviour share some. Those of whole programs have one each.
 *
 * Those that take long come first, so that none is left to run by itself at the end.
 */
function busyGroups(files) {
  const shared = Map.groupBy(
    files.filter((file) => !needsProcess(file)),
    nameOfGroup,
  );
  const groups = [...shared].map(([name, ofGroup]) => ({ name, files: ofGroup }));
  const topics = groups.filter(({ name }) => name.startsWith(behaviour));
  return [
    ...[...groups.filter((group) => !topics.includes(group)), ...gathered(topics, topicGroups)].sort(
      (a, b) => sizeOf(b) - sizeOf(a),
    ),
    ...files.filter(needsProcess).map(alone),
  ];
}

/** Groups gathered into so many of about the same size, each named after those that are in it. */
function gathered(groups, count) {
  const bins = Array.from({ length: count }, () => []);
  const sizeOfBin = (bin) => bin.reduce((sum, group) => sum + sizeOf(group), 0);
  for (const group of groups.toSorted((a, b) => sizeOf(b) - sizeOf(a)))
    bins.reduce((least, bin) => (sizeOfBin(bin) < sizeOfBin(least) ? bin : least)).push(group);
  return bins
    .filter((bin) => bin.length > 0)
    .map((bin) => ({
      name: behaviour + bin.map(({ name }) => name.slice(behaviour.length)).join(","),
      files: bin.flatMap((group) => group.files),
    }));
}

/** The bytes of a group's files, which stand for the time that it takes. */
function sizeOf({ files }) {
  return files.reduce((sum, file) => sum + statSync(file).size, 0);
}

const behaviour = "test/behaviour/";

/** The name of the group that a file shares with others. */
function nameOfGroup(file) {
  const [, kind, topic] = file.split("/");
  if (["core", "gateway", "hub", "hub-client"].includes(kind)) return "pure parts";
  if (["messaging", "dispatch", "saga", "services", "types"].includes(kind))
    return "parts of messages and services";
  return kind === "behaviour" ? `${behaviour}${topic}` : `test/${kind}`;
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
  return /^test\/(?:bench|programs)\//.test(file) || measuresMemory(file) || runsSuiteAgain(file);
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
