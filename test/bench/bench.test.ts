import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { rows } from "../../bench/rows.ts";

const root = join(import.meta.dirname, "../..");
const run = promisify(execFile);

/** What is looked at of a finding in the report. */
interface Line {
  readonly id: string;
  readonly ratios: readonly number[];
}

test("bench: every row that can be measured gets right answers and a ratio", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "ts-ms-bench-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const json = join(folder, "report.json");
  const short = ["--rounds", "1", "--seconds", "0.05", "--warmup", "0.05", "--calls", "500"];
  const { stdout } = await run(process.execPath, ["bench/run.ts", ...short, "--json", json], { cwd: root });

  const lines = JSON.parse(readFileSync(json, "utf8")) as Line[]; // Written by the bench itself.
  const measurable = rows.filter(({ measure }) => typeof measure !== "string").map(({ id }) => id);
  assert.deepEqual(
    lines.map(({ id }) => id),
    measurable,
  );
  for (const { id, ratios } of lines) {
    assert.ok(ratios.length === 1 && ratios.every((ratio) => ratio > 0 && ratio < Infinity), id);
    assert.match(stdout, new RegExp(`^\\| ${id} \\|`, "m"));
  }
});
