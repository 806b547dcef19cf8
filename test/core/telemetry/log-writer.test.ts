import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, renameSync, rmSync, existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { after, test } from "node:test";
import { LogWriter, logCounts, reopenLogs } from "../../../src/core/telemetry/log-writer.ts";

const folder = mkdtempSync(join(tmpdir(), "ts-ms-log-"));
after(() => rmSync(folder, { recursive: true }));

test("lines are written in batches of 4 KiB, urgent ones at once", () => {
  const path = join(folder, "batches.log");
  const writer = new LogWriter(path);
  writer.write("a\n");
  assert.equal(readFileSync(path, "utf8"), "");
  writer.write(`${"b".repeat(5_000)}\n`);
  assert.equal(readFileSync(path, "utf8").length, 5_003);
  writer.write("c\n");
  writer.lastLevel = 50;
  writer.write("error\n");
  assert.ok(readFileSync(path, "utf8").endsWith("c\nerror\n"));
  writer.lastLevel = 30;
  writer.write("last\n");
  writer.close();
  assert.ok(readFileSync(path, "utf8").endsWith("error\nlast\n"));
});

test("L02: a log file that was moved or removed is opened again", () => {
  const path = join(folder, "moved.log");
  const writer = new LogWriter(path);
  writer.write("one\n");
  renameSync(path, `${path}.1`);
  reopenLogs();
  writer.write("two\n");
  writer.flush();
  assert.equal(readFileSync(`${path}.1`, "utf8"), "one\n");
  assert.equal(readFileSync(path, "utf8"), "two\n");
  rmSync(path);
  writer.write("three\n");
  writer.flush();
  assert.ok(!existsSync(path));
  reopenLogs();
  writer.write("four\n");
  writer.close();
  assert.equal(readFileSync(path, "utf8"), "four\n");
});

test("L02: on a full disk lines are dropped and counted", { skip: !existsSync("/dev/full") }, () => {
  const before = logCounts.dropped;
  const writer = new LogWriter("/dev/full");
  writer.write("one\n");
  writer.write("two\n");
  writer.flush();
  assert.equal(logCounts.dropped - before, 2);
  writer.close();
});

test("a log that cannot be opened is an error with its path", () => {
  assert.throws(() => new LogWriter(join(folder, "no", "such.log")), /the log .*such\.log cannot be opened/);
});

test("L02: a full pipe blocks nobody: a MiB waits, further lines are dropped, and all that waits is written later", async () => {
  const program = join(import.meta.dirname, "fixtures", "full-pipe.ts");
  const child = spawn(process.execPath, [program], { stdio: ["pipe", "pipe", "pipe"] });
  const exited = once(child, "exit");
  let report = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (report += text));
  // Standard error is not read until the program has written all its lines.
  while (!report.includes("\n")) await turn();
  const { written, dropped, tookMs } = JSON.parse(report) as Record<"written" | "dropped" | "tookMs", number>;
  assert.ok(tookMs < 5_000, `${tookMs} ms`);
  assert.ok(dropped > 0);
  let lines = 0;
  child.stderr.setEncoding("utf8").on("data", (text: string) => (lines += text.split("\n").length - 1));
  child.stdin.end("go on");
  await exited;
  while (!child.stderr.readableEnded) await turn();
  assert.equal(lines, written - dropped);
});

test("the last lines are written when the process exits, whatever ends it", () => {
  const code = `
    import { LogWriter } from ${JSON.stringify(new URL("../../../src/core/telemetry/log-writer.ts", import.meta.url).href)};
    const writer = new LogWriter("stdout");
    writer.write("last\\n");
    process.exit(0);`;
  const args = ["--input-type=module", "-e", code];
  assert.equal(execFileSync(process.execPath, args, { encoding: "utf8" }), "last\n");
});
