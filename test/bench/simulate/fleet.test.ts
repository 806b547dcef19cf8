import assert from "node:assert/strict";
import { test } from "node:test";
import { Agenda } from "../../../bench/simulate/agenda.ts";
import { isGood, toTable, type Finding } from "../../../bench/simulate/finding.ts";
import {
  backendZoneLoss,
  calls,
  coldStart,
  gatewayZoneLoss,
  rollingRestart,
  spread,
  type Fleet,
} from "../../../bench/simulate/scenarios.ts";
import { seeded, Timeline } from "../../../bench/simulate/timeline.ts";

const fleet: Fleet = {
  gateways: 10,
  backends: 25,
  clients: 120_000,
  subset: 20,
  ageMs: 90_000,
  acceptsPerSecond: 480,
  seed: 1,
};

function assertGood(findings: readonly Finding[]): void {
  assert.ok(findings.every(isGood), toTable(findings));
}

test("at a subset of 20 and of 50 no backend has more than 1.3 times the mean of connections", async () => {
  for (const [gateways, backends, subset] of [
    [10, 25, 20],
    [60, 300, 20],
    [33, 77, 20],
    [40, 200, 50],
  ] as const) {
    assertGood(await spread({ ...fleet, gateways, backends, subset }, true));
  }
});

test("every connection gets its share of the calls, and none fails", async () => {
  assertGood(await calls(fleet));
});

test("the restart of all gateways makes no more than twice the steady rate of new connections", async () => {
  assertGood(await rollingRestart(fleet));
  assertGood(await coldStart(fleet));
});

test("after the loss of a zone clients come back over 10 s or more, and backends get few connections at once", async () => {
  assertGood(await gatewayZoneLoss(fleet));
  assertGood(await backendZoneLoss(fleet));
});

test("a run with the same seed is the same, one with another seed another", async () => {
  const few = { ...fleet, clients: 5_000, acceptsPerSecond: 20 };
  const [one, again, other] = [
    await gatewayZoneLoss(few),
    await gatewayZoneLoss(few),
    await gatewayZoneLoss({ ...few, seed: 2 }),
  ];
  assert.deepEqual(one, again);
  assert.notDeepEqual(one, other);
});

test("without a limit of new connections the loss of a zone is outside its bounds", async () => {
  assert.ok(!(await gatewayZoneLoss({ ...fleet, acceptsPerSecond: 0 })).every(isGood));
});

test("the timers of a timeline fire in order, and cancelled ones do not", async () => {
  const timeline = new Timeline();
  const random = seeded(3);
  const fired: number[] = [];
  const cancels = Array.from({ length: 500 }, () => {
    const atMs = Math.floor(random() * 1_000);
    return timeline.after(atMs, () => {
      assert.equal(timeline.nowMs(), atMs);
      fired.push(atMs);
    });
  });
  for (const cancel of cancels.slice(400)) cancel();
  await timeline.until(1_000);
  assert.equal(fired.length, 400);
  assert.deepEqual(
    fired,
    fired.toSorted((one, other) => one - other),
  );
});

test("an agenda gives each member the turn that was planned last", () => {
  const turns: [number, number][] = [];
  let step = 0;
  const agenda = new Agenda(100, 50, (member) => turns.push([step, member]));
  const random = seeded(5);
  const planned = new Map<number, number>();
  for (let time = 0; time < 1_000; time++) {
    const member = Math.floor(random() * 100);
    const at = 1 + Math.floor(random() * 50);
    agenda.plan(member, at);
    planned.set(member, at);
  }
  agenda.cancel(7);
  planned.delete(7);
  for (step = 1; step <= 50; step++) agenda.step();
  const byMember = (one: [number, number], other: [number, number]): number => one[1] - other[1];
  assert.deepEqual(
    turns.toSorted(byMember),
    [...planned].map(([member, at]): [number, number] => [at, member]).toSorted(byMember),
  );
});
