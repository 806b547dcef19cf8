import { relative, sep } from "node:path";

/** More flaky tests than this fail a run of CI: then it is no accident. */
const maxFlakyInCi = 6;

/**
 * What came out of a group, by the lines of `test-events.js` and its process's exit code: for each of its files the
 * tests and their time in milliseconds, and the failures and what was skipped.
 *
 * `flaky` are tests that failed in one run and passed in another.
 *
 * `broken` says that its process ended badly, whatever its tests say.
 */
export function outcomeOf(group, lines, exitCode) {
  const outcome = {
    group,
    passed: 0,
    passes: [],
    elsewhere: 0,
    skipped: [],
    failures: [],
    flaky: [],
    files: new Map(group.files.map((file) => [file, { count: 0, failed: 0, ms: 0 }])),
  };
  const events = lines.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line)]));
  for (const event of events) if (event.type !== "test:summary") take(event, outcome);
  const isWhole = events.some(({ type }) => type === "test:summary");
  outcome.broken = !isWhole || (exitCode !== 0 && outcome.failures.length === 0);
  return outcome;
}

function take(event, outcome) {
  const path = event.file === undefined ? "" : relative("", event.file).split(sep).join("/");
  const file = outcome.files.has(path) ? path : outcome.group.name;
  const counts = outcome.files.get(file);
  if (file !== path) outcome.elsewhere++;
  if (counts !== undefined && event.nesting === 0) counts.ms += event.ms;
  // A suite fails because of a test in it, which counts for itself.
  if (event.isSuite && (event.error === undefined || /\bsubtests? failed\b/.test(event.error))) {
    if (event.type !== "test:fail") outcome.passes.push({ file, name: event.name });
    return;
  }
  if (counts !== undefined) counts.count++;
  if (event.type === "test:fail") {
    if (counts !== undefined) counts.failed++;
    outcome.failures.push({ ...event, file });
  } else if (event.skipped === undefined) {
    outcome.passed++;
    outcome.passes.push({ file, name: event.name });
  } else outcome.skipped.push({ ...event, file });
}

/** The group of those files of an outcome whose tests failed: all of its files if a file that they share defines one. */
export function failingFiles({ group, failures }) {
  const files = [...new Set(failures.map(({ file }) => file))];
  return files.every((file) => group.files.includes(file)) ? { ...group, files } : group;
}

/** Takes the outcome of another run of what failed: a test that passes there, and one that fails only there, is flaky. */
export function takeAgain(outcome, again) {
  const isIn = (tests) => (test) => tests.some(({ name, file }) => name === test.name && file === test.file);
  // A test that the other run does not find has failed and passed never.
  const hasPassed = (test) => isIn(again.passes)(test) && !isIn(again.failures)(test);
  const passed = outcome.failures.filter(hasPassed);
  outcome.flaky.push(
    ...passed,
    ...again.failures.filter((test) => !isIn([...outcome.failures, ...outcome.flaky])(test)),
  );
  outcome.failures = outcome.failures.filter((test) => !hasPassed(test));
  outcome.passed += passed.length;
  outcome.broken ||= again.broken;
}

/** Prints a line for each file of a group and for each failure. */
export function printOutcome({ files, failures }) {
  for (const [file, { count, failed, ms }] of files) {
    console.log(`${failed === 0 ? "ok  " : "FAIL"} ${file} (${count} tests, ${(ms / 1000).toFixed(1)} s)`);
  }
  for (const { file, line, name, error = "" } of failures)
    console.log(`FAIL ${file}:${line ?? 0} ${name}\n${error.replaceAll(/^/gm, "     ")}`);
}

/** Prints what came out of all runs, with a closing line that programs read. Returns the exit code. */
export function report(outcomes, ms) {
  const sum = (count) => outcomes.reduce((total, outcome) => total + count(outcome), 0);
  const failed = outcomes.flatMap(({ failures }) => failures);
  const flaky = outcomes.flatMap((outcome) => outcome.flaky);
  const broken = outcomes.filter((outcome) => outcome.broken);
  // Tests that a shared file of a group defines could be those of any file of the group.
  const empty = outcomes
    .filter(({ elsewhere, files }) => elsewhere === 0 || files.size === 1)
    .flatMap(({ elsewhere, files }) =>
      [...files].flatMap(([file, { count }]) => (count + elsewhere === 0 ? [file] : [])),
    );
  for (const file of empty) failed.push({ file, name: "the file runs no test" });
  const skipped = outcomes.flatMap((outcome) => outcome.skipped);
  console.log("");
  for (const { file, name, skipped: why } of skipped) console.log(`skipped: ${file}: ${name} (${why})`);
  for (const { file, name } of flaky) console.log(`FLAKY, failed and passed: ${file}: ${name}`);
  for (const { file, name } of failed) console.log(`FAILED: ${file}: ${name}`);
  for (const { group } of broken) console.log(`FAILED: the process of ${group.name} ended badly`);
  console.log(`in ${(ms / 1000).toFixed(0)} s`);
  console.log(
    `${sum(({ passed }) => passed)} passed, ${failed.length + broken.length} failed, ${skipped.length} skipped`,
  );
  const tooFlaky = process.env.CI !== undefined && flaky.length > maxFlakyInCi;
  if (tooFlaky) console.log(`More than ${maxFlakyInCi} tests were flaky: this run counts as failed.`);
  return failed.length > 0 || broken.length > 0 || tooFlaky ? 1 : 0;
}
