import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hash32 } from "../../../src/core/cluster/hash-32.ts";
import { HashRing } from "../../../src/core/cluster/hash-ring.ts";
import { seeded } from "../../support/virtual-clock.ts";
import { endpoints, TestEndpoint } from "./test-endpoints.ts";

const keys = Array.from({ length: 20_000 }, (_, index) => hash32(`user ${index}`));

function ringOf(
  all: readonly TestEndpoint[],
  candidates = all,
  { boundedLoad = Infinity, mean = 1 }: { boundedLoad?: number; mean?: number } = {},
): HashRing<TestEndpoint> {
  const ring = new HashRing<TestEndpoint>({ random: seeded(1), boundedLoad, meanInFlight: () => mean });
  ring.update(candidates, 0, all);
  return ring;
}

function ownersOf(ring: HashRing<TestEndpoint>): readonly (string | undefined)[] {
  return keys.map((key) => ring.pick(0, key)?.hashKey);
}

/** The share of keys whose endpoint differs. */
function moved(one: readonly unknown[], other: readonly unknown[]): number {
  return one.filter((owner, index) => owner !== other[index]).length / one.length;
}

describe("a hash ring", () => {
  test("adding or removing one of ten moves 15 % of the keys at most", () => {
    for (const [before, after] of [
      [9, 10],
      [10, 11],
    ] as const) {
      const share = moved(ownersOf(ringOf(endpoints(before))), ownersOf(ringOf(endpoints(after))));
      assert.ok(share <= 0.15, `${share} of the keys with ${after}`);
      assert.ok(share >= 1 / after / 2, `only ${share}`);
    }
  });

  test("one that cannot be called moves its own keys and no others", () => {
    const all = endpoints(10);
    const before = ownersOf(ringOf(all));
    const after = ownersOf(ringOf(all, all.slice(1)));
    for (const [index, owner] of before.entries()) {
      if (owner === all[0]?.hashKey) assert.notEqual(after[index], owner);
      else assert.equal(after[index], owner);
    }
  });

  test("clients that found the endpoints in another order agree", () => {
    const all = endpoints(10);
    assert.equal(moved(ownersOf(ringOf(all)), ownersOf(ringOf(all.toReversed()))), 0);
  });

  test("shares are the weights", () => {
    const all = [1, 2, 7].map((weight) => new TestEndpoint(`weight ${weight}`, { weight }));
    const owners = ownersOf(ringOf(all));
    for (const { hashKey, weight } of all) {
      const share = owners.filter((owner) => owner === hashKey).length / owners.length;
      assert.ok(Math.abs(share - weight / 10) < 0.03, `${hashKey}: ${share}`);
    }
  });

  test("one with more calls than the bound is passed over, and all its keys go to the next ones", () => {
    const all = endpoints(4);
    const [busy] = all;
    busy?.hold(13);
    const before = ownersOf(ringOf(all));
    // 13 calls of one are more than 1.25 times the mean of 10; 12 of another would be allowed.
    const after = ownersOf(ringOf(all, all, { boundedLoad: 1.25, mean: 10 }));
    assert.ok(!after.includes(busy?.hashKey));
    assert.ok(moved(before, after) < 0.3);
  });

  test("while all have more than the bound, a key stays where it belongs", () => {
    const all = endpoints(3);
    for (const endpoint of all) endpoint.hold(9);
    assert.equal(moved(ownersOf(ringOf(all)), ownersOf(ringOf(all, all, { boundedLoad: 1, mean: 1 }))), 0);
  });

  test("calls without a key are spread by chance", () => {
    const all = endpoints(4);
    const ring = ringOf(all);
    const picks = Array.from({ length: 4_000 }, () => ring.pick(0)?.hashKey);
    for (const { hashKey } of all) {
      const count = picks.filter((pick) => pick === hashKey).length;
      assert.ok(count > 850 && count < 1_150, `${count} of 4,000`);
    }
  });

  test("thousands of endpoints all have a place", () => {
    const all = endpoints(6_000);
    const ring = ringOf(all);
    const owners = new Set(Array.from({ length: 60_000 }, (_, index) => ring.pick(0, hash32(`${index}`))));
    assert.ok(owners.size > 5_000, `${owners.size}`);
  });

  test("without endpoints there is no pick", () => {
    assert.equal(ringOf([]).pick(0, 1), undefined);
  });
});
