import assert from "node:assert/strict";
import { test } from "node:test";
import { peerRows } from "../../bench/peer-rows.ts";
import type { Row } from "../../bench/rig.ts";
import { rows } from "../../bench/rows.ts";
import { assertMeasured, bench } from "./bench-run.ts";

const peers = new Set(peerRows.map(({ id }) => id));

const partCount = 3;

/** The number of a row, which its parts share. */
function numberOf({ id }: Row): string {
  return id.replace(/[a-z]$/, "");
}

/** The rows in parts with about as much to measure, each for a run of its own; parts of a number stay together. */
function parts(): readonly (readonly Row[])[] {
  const measured = rows.filter(({ id }) => !peers.has(id));
  const starts = Array.from({ length: partCount }, (_, part) => {
    const first = measured[Math.floor((measured.length * part) / partCount)];
    if (part === 0 || first === undefined) return 0;
    return rows.findIndex((row) => numberOf(row) === numberOf(first));
  });
  return starts.map((start, part) => rows.slice(start, starts[part + 1]));
}

/** Defines the test of one part of the rows; a file has one of them, since all take longer than a file may. */
export function testRows(part: 0 | 1 | 2): void {
  test(
    "bench: every row gets right answers and a ratio, but for peers that nobody asked for",
    {
      timeout: 280_000,
    },
    async (t) => {
      const ids = (parts()[part] ?? []).map(({ id }) => id);
      const { stdout, lines } = await bench(t, ["--rows", ids.join(",")]);
      assert.deepEqual(
        lines.map(({ id }) => id),
        ids,
      );
      for (const line of lines) {
        if (!peers.has(line.id)) assertMeasured(line, stdout);
        else
          assert.match(stdout, new RegExp(`^\\| ${line.id} \\|.* skipped \\|.* takes .*--peers. \\|$`, "m"));
      }
    },
  );
}
