import assert from "node:assert/strict";
import { test } from "node:test";
import { peerRows } from "../../bench/peer-rows.ts";
import type { Row } from "../../bench/rig.ts";
import { rows } from "../../bench/rows.ts";
import { assertMeasured, bench } from "../support/bench-run.ts";

const peers = new Set(peerRows.map(({ id }) => id));

/** The number of a row, which its parts share. */
function numberOf({ id }: Row): string {
  return id.replace(/[a-z]$/, "");
}

/** The rows in two parts with about as much to measure, each for a run of its own; parts of a number stay together. */
function halves(): readonly (readonly Row[])[] {
  const measured = rows.filter(({ id }) => !peers.has(id));
  const middle = measured[Math.floor(measured.length / 2)];
  const number = middle === undefined ? "" : numberOf(middle);
  const at = rows.findIndex((row) => numberOf(row) === number);
  return [rows.slice(0, at), rows.slice(at)];
}

test(
  "bench: every row gets right answers and a ratio, but for peers that nobody asked for",
  { timeout: 280_000 },
  async (t) => {
    const runs = await Promise.all(
      halves().map((half) => bench(t, ["--rows", half.map(({ id }) => id).join(",")])),
    );
    const ids = runs.flatMap(({ lines }) => lines.map(({ id }) => id));
    assert.deepEqual(
      ids,
      rows.map(({ id }) => id),
    );
    for (const { stdout, lines } of runs) {
      for (const line of lines) {
        if (!peers.has(line.id)) assertMeasured(line, stdout);
        else
          assert.match(stdout, new RegExp(`^\\| ${line.id} \\|.* skipped \\|.* takes .*--peers. \\|$`, "m"));
      }
    }
  },
);
