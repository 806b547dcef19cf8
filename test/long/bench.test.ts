import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { peerRows } from "../../bench/peer-rows.ts";
import { rows } from "../../bench/rows.ts";
import { toolCache } from "../../conformance/tools.ts";

const root = join(import.meta.dirname, "../..");
const run = promisify(execFile);

/** Laps that say nothing about speed. */
const short = ["--rounds", "1", "--seconds", "0.05", "--warmup", "0.05", "--calls", "500"];

/** What is looked at of a finding in the report. */
interface Line {
  readonly id: string;
  readonly run: number;
  readonly ratios?: readonly number[];
  readonly missing?: string;
}

function scratchFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "ts-ms-bench-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function bench(t: TestContext, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const json = join(scratchFolder(t), "report.json");
  const words = ["bench/run.ts", ...short, ...args, "--json", json];
  const options = { cwd: root, env: { ...process.env, ...env } };
  const { stdout, stderr } = await run(process.execPath, words, options);
  return { stdout, stderr, lines: JSON.parse(readFileSync(json, "utf8")) as Line[] }; // Written by the bench itself.
}

function assertMeasured({ id, ratios = [] }: Line, stdout: string): void {
  assert.ok(ratios.length === 1 && ratios.every((ratio) => ratio > 0 && ratio < Infinity), id);
  assert.match(stdout, new RegExp(`^\\| ${id} \\|.* (yes|no) \\|$`, "m"));
}

test(
  "bench: every row gets right answers and a ratio, but for peers that nobody asked for",
  { timeout: 400_000 },
  async (t) => {
    const { stdout, lines } = await bench(t, []);
    assert.deepEqual(
      lines.map(({ id }) => id),
      rows.map(({ id }) => id),
    );
    const peers = new Set(peerRows.map(({ id }) => id));
    for (const line of lines) {
      if (!peers.has(line.id)) assertMeasured(line, stdout);
      else assert.match(stdout, new RegExp(`^\\| ${line.id} \\|.* skipped \\|.* takes .*--peers. \\|$`, "m"));
    }
  },
);

test("bench: --times repeats the table and ends with the medians of all runs", async (t) => {
  const { stdout, lines } = await bench(t, ["--rows", "6,10", "--times", "3"]);
  const runs = lines.map((line) => `${line.run}: ${line.id}`);
  assert.deepEqual(runs, ["1: 6", "1: 10", "2: 6", "2: 10", "3: 6", "3: 10"]);
  for (const line of lines) assertMeasured(line, stdout);
  assert.equal(stdout.match(/^Run \d of 3$/gm)?.length, 3);
  const summary = stdout.slice(stdout.indexOf("All runs"));
  assert.match(summary, /^\| # \| work \| subject : reference \| run 1 \| run 2 \| run 3 \| median \|/m);
  for (const id of ["6", "10"]) assert.match(summary, new RegExp(`^\\| ${id} \\|.* (yes|no) \\|$`, "m"));
});

test("bench: a row that does not exist is refused", async (t) => {
  await assert.rejects(bench(t, ["--rows", "6,99"]), /there is no 99/);
});

test(
  "bench: peers are skipped with the reason where the machine cannot make them",
  {
    skip: process.platform !== "linux",
  },
  async (t) => {
    const empty = scratchFolder(t);
    const env = { PATH: empty, XDG_CACHE_HOME: empty };
    const { stdout, stderr, lines } = await bench(t, ["--peers", "--rows", "11"], env);
    assert.deepEqual(
      lines.map(({ id, missing }) => `${id}: ${missing}`),
      [
        "11a: Go is not installed",
        "11b: Go is not installed",
        "11c: Python 3 with pip is not installed",
        "11d: Python 3 with pip is not installed",
      ],
    );
    for (const { id, missing } of lines) {
      assert.match(stdout, new RegExp(`^\\| ${id} \\|.* skipped \\|.*${missing} \\|$`, "m"));
      assert.match(stderr, new RegExp(`^${id} .*: SKIPPED, ${missing}$`, "m"));
    }
  },
);

/** Building them takes the network, which is not for tests. */
const cached = existsSync(toolCache) ? readdirSync(toolCache) : [];
const built = ["grpc-gateway-", "envoy-"].every((peer) => cached.some((name) => name.startsWith(peer)));

test(
  "bench: peers give right answers to small and large calls and streams",
  {
    skip: built
      ? false
      : "grpc-gateway and Envoy are not in the cache; `npm run bench -- --peers` brings them",
  },
  async (t) => {
    const { stdout, lines } = await bench(t, ["--peers", "--rows", "11b,11d,12,17,23,25a"]);
    assert.equal(lines.length, 14);
    for (const line of lines) assertMeasured(line, stdout);
  },
);
