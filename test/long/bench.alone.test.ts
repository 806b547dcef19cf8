import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { toolCache } from "../../conformance/tools.ts";
import { assertMeasured, bench, scratchFolder } from "../support/bench-run.ts";

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
