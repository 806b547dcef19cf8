import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { KeyTable } from "../../../src/core/limits/key-table.ts";
import { KeyedHash } from "../../../src/core/limits/keyed-hash.ts";
import { networkOf } from "../../../src/core/net/client-network.ts";
import { parseRate, showRate } from "../../../src/core/config/rate-text.ts";
import type { RateRule } from "../../../src/core/limits/rate-rule.ts";
import { toRule } from "../../../src/core/limits/rules.ts";
import { endOfPeriod } from "../../../src/core/limits/window.ts";

function rig(rate: string, burst?: number) {
  const time = { nowMs: 1_000, wallMs: Date.UTC(2026, 0, 31, 23, 59, 50) };
  const clocks = { nowMs: () => time.nowMs, wallMs: () => time.wallMs };
  return { time, ...counter(toRule(parseRate(rate), burst, clocks)) };
}

function counter(rule: RateRule) {
  const table = new KeyTable(10);
  const entry = table.add(1, 2);
  const verdict = { allowed: true, remaining: 0, resetMs: 0, retryMs: 0 };
  const call = (cost = 1): boolean => {
    rule.look(table, entry, cost, verdict);
    if (verdict.allowed) rule.take(table, entry, cost);
    return verdict.allowed;
  };
  const passed = (calls: number): number =>
    Array.from({ length: calls }, () => call()).filter(Boolean).length;
  return { call, passed, verdict, rule, table, entry };
}

test("rates are read as they are written", () => {
  for (const text of ["100/1m", "5/250ms", "1000000/month", "5000/day", "7/1h"]) {
    assert.equal(showRate(parseRate(text)), text);
  }
  assert.deepEqual(parseRate("10/hour"), { count: 10, windowMs: 3_600_000 });
  for (const text of ["100", "0/1m", "1/0", "-1/1m", "1.5/1m", "1/week", "1/1", "/1m", "1/1m "]) {
    assert.throws(() => parseRate(text), text);
  }
});

test("a window begins with the first call, and exactly as many pass in each", () => {
  const { time, passed, call, verdict } = rig("100/1m");
  time.nowMs = 59_999; // No window of the clock's own.
  for (let window = 0; window < 10; window++) {
    assert.equal(passed(150), 100);
    time.nowMs += 59_999;
    assert.equal(call(), false);
    assert.equal(verdict.retryMs, 1, "a refused call does not lengthen the window");
    time.nowMs += 1;
  }
});

test("calls of a cost take as much, and one that is refused takes nothing", () => {
  const { call, verdict } = rig("10/1m");
  assert.deepEqual([call(7), call(4), call(3), call(1)], [true, false, true, false]);
  assert.equal(verdict.remaining, 0);
});

test("a bucket has its capacity at once, and is filled at the rate", () => {
  const { time, passed, call, verdict } = rig("10/1s", 3);
  assert.equal(passed(5), 3);
  assert.equal(verdict.retryMs, 100);
  time.nowMs += 100;
  assert.equal(passed(2), 1);
  time.nowMs += 10_000;
  assert.equal(passed(5), 3);
  time.nowMs += 150;
  call();
  assert.equal(Math.round(verdict.resetMs), 250);
});

test("a day and a month end in UTC, whatever the first call", () => {
  const { time, passed } = rig("3/month");
  assert.equal(passed(5), 3);
  time.wallMs += 9_999;
  assert.equal(passed(5), 0);
  time.wallMs += 1;
  assert.equal(passed(5), 3);
  time.wallMs = Date.UTC(2026, 1, 28, 23, 59, 59, 999);
  assert.equal(passed(5), 0);
  time.wallMs = Date.UTC(2026, 2, 1);
  assert.equal(passed(5), 3);
  assert.equal(endOfPeriod("day", Date.UTC(2028, 1, 28, 12)), Date.UTC(2028, 1, 29));
  assert.equal(endOfPeriod("month", Date.UTC(2026, 11, 31)), Date.UTC(2027, 0, 1));
});

test("what a call has taken can be given back, but not to another window", () => {
  for (const [rate, burst] of [
    ["2/1m", undefined],
    ["2/1m", 2],
  ] as const) {
    const { time, call, rule, table, entry, passed } = rig(rate, burst);
    call();
    const taken =
      (rule.look(table, entry, 1, { allowed: true, remaining: 0, resetMs: 0, retryMs: 0 }),
      rule.take(table, entry, 1));
    rule.giveBack(table, entry, 1, taken);
    assert.equal(passed(5), 1);
    time.nowMs += 600_000;
    assert.equal(passed(5), 2);
    if (burst === undefined) rule.giveBack(table, entry, 1, taken);
    assert.equal(passed(5), 0);
  }
});

test("a table of keys keeps the latest ones, like a map would", () => {
  const operation = fc.record({
    high: fc.integer({ min: 0, max: 3 }),
    low: fc.integer({ min: -40, max: 40 }),
  });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100 }),
      fc.array(operation, { maxLength: 400 }),
      (maxKeys, operations) => {
        const table = new KeyTable(maxKeys, true);
        const model = new Map<string, number>();
        for (const [at, { high, low }] of operations.entries()) {
          const key = `${high} ${low}`;
          const entry = table.find(high, low);
          assert.equal(entry < 0 ? undefined : table.b[entry], model.get(key));
          if (entry >= 0) table.use(entry);
          else if (model.size === maxKeys) model.delete([...model.keys()][0] ?? "");
          const used = entry >= 0 ? entry : table.add(high, low);
          table.b[used] = at;
          table.c[used] = at;
          model.delete(key);
          model.set(key, at);
          assert.equal(table.size, model.size);
        }
      },
    ),
  );
});

test("an entry of a table takes less than 200 bytes", () => {
  const table = new KeyTable(100_000, true);
  for (let key = 0; key < 200_000; key++) table.add(key * 7, key * 13);
  assert.equal(table.size, 100_000);
  assert.ok(table.bytes / table.size < 200, `${table.bytes / table.size} bytes`);
});

test("texts are joined without ambiguity before they are hashed", () => {
  const hash = new KeyedHash();
  const of = (...texts: readonly [tag: number, text: string][]): string => {
    hash.begin();
    for (const [tag, text] of texts) hash.add(tag, text);
    hash.end();
    return `${hash.high} ${hash.low}`;
  };
  const different = [
    of(),
    of([1, ""]),
    of([2, ""]),
    of([1, "ab"], [1, "c"]),
    of([1, "a"], [1, "bc"]),
    of([1, "abc"]),
    of([1, "abc\0"]),
    of([1, "ab\0c"]),
    of([1, "\u0001\u0002"]),
    of([1, "\u0102"]),
  ];
  assert.equal(new Set(different).size, different.length);
  assert.equal(of([1, "abc"]), different[5], "the same every time");
  const many = new Set(Array.from({ length: 100_000 }, (_, at) => of([1, `10.0.${at >> 8}.${at & 255}`])));
  assert.equal(many.size, 100_000);
  const lows = Array.from({ length: 64_000 }, (_, at) => Number(of([1, `user-${at}`]).split(" ")[1]) & 63);
  const counts = Map.groupBy(lows, (low) => low);
  for (const chain of counts.values())
    assert.ok(Math.abs(chain.length - 1_000) < 200, "chains of equal length");
});

test("addresses are counted by the network that one host may have", () => {
  const table: readonly [string, string][] = [
    ["192.0.2.7", "192.0.2.7"],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["::FFFF:c000:207", "192.0.2.7"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:0DB8:0000:0:ffff:1:2:3", "2001:db8:0:0::/64"],
    ["2001:db8:0:1::1", "2001:db8:0:1::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["64:ff9b::192.0.2.1", "64:ff9b:0:0::/64"],
    ["", ""],
  ];
  for (const [ip, network] of table) assert.equal(networkOf(ip), network, ip);
});
