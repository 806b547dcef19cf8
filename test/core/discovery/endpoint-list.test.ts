import assert from "node:assert/strict";
import { test } from "node:test";
import { compareEndpoints, type EndpointSet } from "../../../src/core/discovery/endpoint-list.ts";
import type { Endpoint } from "../../../src/core/discovery/resolver.ts";

const none: EndpointSet = new Map();
const [a, b] = ["10.0.0.1:1", "10.0.0.2:1"];

/** The weights of a list by address. */
function weights(list: readonly Endpoint[]): Record<string, number> {
  const { endpoints } = compareEndpoints(none, list) ?? assert.fail("nothing has changed");
  return Object.fromEntries([...endpoints].map(([address, { weight }]) => [address, weight]));
}

test("of several endpoints with one address the heaviest stays, whichever comes first", () => {
  assert.deepEqual(weights([{ address: a }, { address: b }, { address: a, weight: 3 }]), { [a]: 3, [b]: 1 });
  assert.deepEqual(weights([{ address: a, weight: 3 }, { address: a }]), { [a]: 3 });
});

test("a weight that is negative, missing or no finite number is 1; 0 stays 0", () => {
  for (const weight of [-1, Number.NaN, Infinity])
    assert.deepEqual(weights([{ address: a, weight }]), { [a]: 1 });
  assert.deepEqual(weights([{ address: a }, { address: b, weight: 0 }]), { [a]: 1, [b]: 0 });
});

test("a list in another order changes nothing; what stays keeps its object", () => {
  const first = compareEndpoints(none, [{ address: a }, { address: b }]) ?? assert.fail();
  assert.equal(compareEndpoints(first.endpoints, [{ address: b }, { address: a }]), undefined);
  const next = compareEndpoints(first.endpoints, [{ address: b }, { address: "c:1" }]) ?? assert.fail();
  assert.equal(next.endpoints.get(b), first.endpoints.get(b));
  assert.deepEqual(
    [next.added, next.removed, next.changed].map((some) => some.map(({ address }) => address)),
    [["c:1"], [a], []],
  );
});
