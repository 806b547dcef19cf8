import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { promisify } from "node:util";

const root = join(import.meta.dirname, "../..");
const run = promisify(execFile);

/** What is looked at of a finding in the report. */
export interface Line {
  readonly id: string;
  readonly run: number;
  readonly ratios?: readonly number[];
  readonly missing?: string;
}

/** An empty folder that is gone after the test. */
export function scratchFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "ts-ms-bench-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs `npm run bench -- --quick`; resolves with what it prints and reports. */
export async function bench(t: TestContext, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const json = join(scratchFolder(t), "report.json");
  const words = ["bench/run.ts", "--quick", ...args, "--json", json];
  const options = { cwd: root, env: { ...process.env, ...env } };
  const { stdout, stderr } = await run(process.execPath, words, options);
  return { stdout, stderr, lines: JSON.parse(readFileSync(json, "utf8")) as Line[] }; // Written by the bench itself.
}

/** Asserts that a row of the printed table has a ratio and a verdict. */
export function assertMeasured({ id, ratios = [] }: Line, stdout: string): void {
  assert.ok(ratios.length === 1 && ratios.every((ratio) => ratio > 0 && ratio < Infinity), id);
  assert.match(stdout, new RegExp(`^\\| ${id} \\|.* (yes|no) \\|$`, "m"));
}
