import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const page = readFileSync(join(import.meta.dirname, "../../docs/scale.md"), "utf8");

/** Bytes and seconds of units; numbers without one are themselves. */
const units: Readonly<Record<string, number>> = { GiB: 1024 ** 3, MiB: 1024 ** 2, s: 1, min: 60 };

/** The number of a cell, as `4.8 GiB`, `10,000` or `12.5 s`. */
function valueOf(cell: string): number {
  const [, number = "", unit = ""] = /^([\d.,]+)(?: (\w+))?$/.exec(cell) ?? [];
  return Number(number.replaceAll(",", "")) * (unit === "" ? 1 : (units[unit] ?? Number.NaN));
}

/** What the page calls rows, with their formulas for so many clients, in its order. */
function expected(clients: number): readonly (readonly [row: string, value: number])[] {
  const calls = clients / 10;
  const fresh = clients / (30 * 60);
  const [callCores, handshakeCores] = [calls * 24.6e-6, fresh * 1.2e-3];
  const byCpu = Math.ceil((callCores + handshakeCores) / 0.5);
  const byConnections = Math.ceil(clients / 10_000);
  const processes = Math.max(3, byCpu, byConnections);
  const own = clients / processes;
  const perConnection = 50 * 1024;
  const base = 142 * 1024 ** 2;
  const rate = Math.ceil(own / 25);
  // Three processes are in three zones, and so on a node each.
  const ofNode = processes === 3 ? own : own * 8;
  return [
    ["calls a second", calls],
    ["new connections a second, steady", fresh],
    ["CPU of calls, cores", callCores],
    ["CPU of handshakes, cores", handshakeCores],
    ["memory of connections", clients * perConnection],
    ["processes by CPU", byCpu],
    ["processes by connections", byConnections],
    ["processes, at least 3 (one a zone)", processes],
    ["memory of a process", base + own * perConnection],
    ["after the loss of a zone", base + own * 1.5 * perConnection],
    ["descriptors of a process", own * 1.5 + 20 * 8 + 100],
    ["`app.max_connections_per_second`", rate],
    ["time until a lost zone is back", own / 2 / rate],
    ["addresses of a balancer that is a client of the gateways", Math.ceil(own / 28_000)],
    ["entries of conntrack, of a node with 8 processes", 2 * ofNode],
    ["connections to backends, at `subset: 20`", processes * 20],
    ["time of a rolling restart, one after the other", processes * (5 + own / 1_000 + 3)],
  ];
}

test("docs/scale.md: every cell of its table is what its formula gives (edge rule 66)", () => {
  const lines = page.split("\n").filter((line) => line.startsWith("|"));
  const [head = [], , ...rows] = lines.map((line) => line.split("|").slice(1, -1));
  const fleets = head.slice(2).map((cell) => valueOf(cell.trim().replace(" clients", "")));
  assert.deepEqual(fleets, [10_000, 100_000, 5_000_000]);
  for (const [column, clients] of fleets.entries()) {
    for (const [index, [name, value]] of expected(clients).entries()) {
      const cells = (rows[index] ?? []).map((cell) => cell.trim());
      assert.equal(cells[0], name);
      const shown = valueOf(cells[2 + column] ?? "");
      // Numbers are rounded to two digits or three.
      assert.ok(
        Math.abs(shown - value) <= value * 0.052,
        `${name}, ${clients} clients: ${shown}, not ${value}`,
      );
    }
  }
});
