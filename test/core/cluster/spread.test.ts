import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RandomPick } from "../../../src/core/cluster/random-pick.ts";
import { Spread } from "../../../src/core/cluster/spread.ts";
import { seeded } from "../../support/virtual-clock.ts";
import { TestEndpoint } from "./test-endpoints.ts";

interface Group {
  readonly zone?: string;
  readonly priority?: number;
  /** How many there are, how many of these can be called, and how many are being connected for the first time. */
  readonly count: number;
  readonly usable: number;
  readonly unjudged?: number;
  /** Their share of the calls, in percent. */
  readonly percent: number;
}

/** Envoy's numbers: https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/priority */
const cases: readonly (readonly [what: string, groups: readonly Group[]])[] = [
  [
    "all local ones take everything",
    [
      { zone: "a", count: 4, usable: 4, percent: 100 },
      { zone: "b", count: 4, usable: 4, percent: 0 },
    ],
  ],
  [
    "1.4 times the available part: 72 % of them still take all",
    [
      { zone: "a", count: 100, usable: 72, percent: 100 },
      { zone: "b", count: 100, usable: 100, percent: 0 },
    ],
  ],
  [
    "71 % of them take 99.4 %",
    [
      { zone: "a", count: 100, usable: 71, percent: 99.4 },
      { zone: "b", count: 100, usable: 100, percent: 0.6 },
    ],
  ],
  [
    "half of them take 70 %",
    [
      { zone: "a", count: 4, usable: 2, percent: 70 },
      { zone: "b", count: 8, usable: 8, percent: 30 },
    ],
  ],
  [
    "none of them: the others take everything",
    [
      { zone: "a", count: 4, usable: 0, percent: 0 },
      { zone: "b", count: 2, usable: 1, percent: 100 },
    ],
  ],
  [
    "with no local endpoint, all are local",
    [
      { zone: "b", count: 2, usable: 2, percent: 50 },
      { zone: "c", count: 2, usable: 2, percent: 50 },
    ],
  ],
  [
    "too few on both sides: in proportion",
    [
      { zone: "a", count: 4, usable: 1, percent: 50 },
      { zone: "b", count: 4, usable: 1, percent: 50 },
    ],
  ],
  [
    "those that are connected for the first time do not count",
    [
      { zone: "a", count: 4, usable: 1, unjudged: 3, percent: 100 },
      { zone: "b", count: 4, usable: 4, percent: 0 },
    ],
  ],
  [
    "priorities: the first takes everything",
    [
      { priority: 0, count: 3, usable: 3, percent: 100 },
      { priority: 5, count: 3, usable: 3, percent: 0 },
    ],
  ],
  [
    "priorities: what the first cannot take goes to the second, and the rest to the third",
    [
      { priority: 0, count: 4, usable: 1, percent: 35 },
      { priority: 1, count: 4, usable: 1, percent: 35 },
      { priority: 2, count: 4, usable: 4, percent: 30 },
    ],
  ],
  [
    "zones within priorities",
    [
      { priority: 0, zone: "a", count: 2, usable: 0, percent: 0 },
      { priority: 0, zone: "b", count: 2, usable: 2, percent: 70 },
      { priority: 1, zone: "a", count: 1, usable: 1, percent: 30 },
      { priority: 1, zone: "b", count: 1, usable: 1, percent: 0 },
    ],
  ],
];

describe("a client of zone a", () => {
  for (const [what, groups] of cases) {
    test(what, () => {
      const random = seeded(7);
      const spread = new Spread(() => new RandomPick<TestEndpoint>(random), random, "a");
      const members = groups.map(({ count, zone, priority }, group) =>
        Array.from(
          { length: count },
          (_, index) =>
            new TestEndpoint(`${group}-${index}`, {
              ...(zone === undefined ? {} : { zone }),
              ...(priority === undefined ? {} : { priority }),
            }),
        ),
      );
      for (const [group, { usable, unjudged = 0 }] of groups.entries()) {
        for (const endpoint of members[group]?.slice(usable, usable + unjudged) ?? [])
          endpoint.isJudged = false;
      }
      const usable = groups.flatMap((group, index) => members[index]?.slice(0, group.usable) ?? []);
      spread.update(usable, 0, members.flat());
      const picks = Array.from({ length: 20_000 }, () => spread.pick(0));
      for (const [group, { percent }] of groups.entries()) {
        const own = new Set(members[group]);
        const share =
          (100 * picks.filter((pick) => pick !== undefined && own.has(pick)).length) / picks.length;
        assert.ok(Math.abs(share - percent) <= (percent === 0 ? 0 : 1), `group ${group}: ${share} %`);
      }
    });
  }

  test("nothing is picked where nothing can be called", () => {
    const random = seeded(7);
    const spread = new Spread(() => new RandomPick<TestEndpoint>(random), random, "a");
    spread.update([], 0, [new TestEndpoint("x", { zone: "a" }), new TestEndpoint("y", { zone: "b" })]);
    assert.equal(spread.pick(0), undefined);
    spread.update([], 0, []);
    assert.equal(spread.pick(0), undefined);
  });
});
