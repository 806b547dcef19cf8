import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { compareEndpoints, type EndpointSet } from "../../../src/core/discovery/endpoint-list.ts";
import { EndpointWatch } from "../../../src/core/discovery/endpoint-watch.ts";
import { Polling } from "../../../src/core/discovery/polling.ts";
import type { Endpoint, ResolverListener } from "../../../src/core/discovery/resolver.ts";
import { staticResolver } from "../../../src/core/discovery/static.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";
import { threadMs } from "../../support/thread-time.ts";

const none: EndpointSet = new Map();

suite("lists of endpoints", () => {
  const list: Endpoint[] = [{ address: "a:1" }, { address: "b:1", weight: 2, zone: "x", meta: { v: "1" } }];
  const { endpoints } = compareEndpoints(none, list) ?? assert.fail();

  test("are compared by address", () => {
    const change = compareEndpoints(endpoints, [{ address: "c:1" }, { address: "b:1", weight: 3 }]);
    const addresses = (of: readonly Endpoint[] = []) => of.map(({ address }) => address);
    assert.deepEqual(addresses(change?.added), ["c:1"]);
    assert.deepEqual(addresses(change?.changed), ["b:1"]);
    assert.deepEqual(addresses(change?.removed), ["a:1"]);
  });

  test("in another order are no change; what stays is the same object", () => {
    assert.equal(compareEndpoints(endpoints, list.toReversed()), undefined);
    assert.equal(compareEndpoints(endpoints, structuredClone(list)), undefined);
    const change = compareEndpoints(endpoints, [...structuredClone(list), { address: "c:1" }]);
    assert.equal(change?.endpoints.get("a:1"), endpoints.get("a:1"));
  });

  for (const [name, other] of [
    ["a zone", { zone: "y" }],
    ["a priority", { priority: 1 }],
    ["a key", { hashKey: "k" }],
    ["data", { meta: { v: "2" } }],
    ["more data", { meta: { v: "1", w: "1" } }],
  ] as const) {
    test(`${name} is a change`, () => {
      const change = compareEndpoints(endpoints, [
        { address: "a:1" },
        { ...list[1], address: "b:1", ...other },
      ]);
      assert.equal(change?.changed.length, 1);
    });
  }

  test("weights that are none count as 1, 0 stays, the heaviest of one address wins", () => {
    const weights = [-1, Number.NaN, Number.POSITIVE_INFINITY, undefined, 0, 2.5].map((weight, index) => ({
      address: `${index}:1`,
      ...(weight === undefined ? {} : { weight }),
    }));
    const change = compareEndpoints(none, weights);
    assert.deepEqual(
      [...(change?.endpoints.values() ?? [])].map(({ weight }) => weight),
      [1, 1, 1, 1, 0, 2.5],
    );
    const twins = compareEndpoints(none, [
      { address: "a:1", weight: 2 },
      { address: "a:1", weight: 5 },
      { address: "a:1" },
    ]);
    assert.deepEqual(twins?.endpoints.get("a:1")?.weight, 5);
  });

  test("a change leads from one set to the other", () => {
    const endpoint = fc.record({ address: fc.constantFrom("a", "b", "c", "d"), weight: fc.nat({ max: 3 }) });
    const lists = fc.tuple(fc.array(endpoint), fc.array(endpoint));
    fc.assert(
      fc.property(lists, ([one, other]) => {
        const before = compareEndpoints(none, one)?.endpoints ?? none;
        const after = compareEndpoints(none, other)?.endpoints ?? none;
        const change = compareEndpoints(before, other);
        const made = new Map(before);
        for (const { address } of change?.removed ?? []) assert.ok(made.delete(address));
        for (const added of change?.added ?? []) {
          assert.ok(!made.has(added.address));
          made.set(added.address, added);
        }
        for (const changed of change?.changed ?? []) made.set(changed.address, changed);
        assert.deepEqual(Object.fromEntries(made), Object.fromEntries(after));
        if (change === undefined) assert.deepEqual(before.size, after.size);
      }),
    );
  });

  test("K03: ten thousand endpoints are compared in less than 20 ms, in another order and wholly new ones", () => {
    const many = (base: number): Endpoint[] =>
      Array.from({ length: 10_000 }, (_, index) => ({
        address: `10.${base}.${index >> 8}.${index & 255}:42001`,
        zone: "a",
        meta: { version: "7" },
      }));
    const first = compareEndpoints(none, many(1))?.endpoints ?? assert.fail();
    /** The best of some runs: the first ones are not compiled. */
    const timed = (list: readonly Endpoint[]): number => {
      let best = Number.POSITIVE_INFINITY;
      for (let run = 0; run < 20 && best > 20; run++) {
        const start = threadMs();
        compareEndpoints(first, list);
        best = Math.min(best, threadMs() - start);
      }
      return best;
    };
    const [reversed, fresh] = [many(1).toReversed(), many(2)];
    assert.equal(compareEndpoints(first, reversed), undefined);
    assert.equal(compareEndpoints(first, fresh)?.removed.length, 10_000);
    for (const list of [reversed, fresh]) {
      const bestMs = timed(list);
      assert.ok(bestMs <= 20, `${bestMs} ms`);
    }
  });
});

suite("a watch", () => {
  const down = new ConnectError("consul: the agent does not answer", Code.Unavailable);

  function rig(staleMs?: number) {
    const clock = new VirtualClock();
    let listener: ResolverListener | undefined;
    let signal: AbortSignal | undefined;
    const rig = { sets: [] as string[][], failures: 0, refreshed: 0 };
    const watch = new EndpointWatch(
      {
        name: "consul",
        watch(...given) {
          [listener, signal] = given;
        },
        refresh: () => void rig.refreshed++,
      },
      {
        onChange: ({ endpoints }) => rig.sets.push([...endpoints.keys()]),
        onFailure: () => rig.failures++,
        clock,
        ...(staleMs === undefined ? {} : { staleMs }),
      },
    );
    const update = (...addresses: string[]) => listener?.update(addresses.map((address) => ({ address })));
    return { clock, watch, update, rig, fail: () => listener?.failed(down), signal: () => signal };
  }

  test("D02: an error keeps the last endpoints without limit of time", () => {
    const { clock, watch, update, fail, rig: seen } = rig();
    assert.equal(watch.resolution.kind, "waiting");
    update("a:1");
    for (let minute = 0; minute < 10; minute++) {
      fail();
      clock.advance(60_000);
    }
    assert.deepEqual([watch.resolution.kind, watch.isStale, watch.ageMs], ["known", false, 600_000]);
    assert.deepEqual([[...watch.endpoints.keys()], seen.failures], [["a:1"], 10]);
  });

  test("D05: an empty answer keeps them for 30 s, then the set is empty", () => {
    const { clock, watch, update, fail, rig: seen } = rig();
    update("a:1");
    update();
    clock.advance(29_999);
    update();
    fail();
    assert.deepEqual([watch.isStale, watch.endpoints.size], [true, 1]);
    clock.advance(1);
    assert.deepEqual([watch.isStale, watch.endpoints.size], [false, 0]);
    assert.deepEqual(seen.sets, [["a:1"], []]);
    assert.equal(watch.noEndpoint("users").rawMessage, "users: no endpoint (consul: 0 instances)");
  });

  test("a set that comes back in that time is no change", () => {
    const { clock, watch, update, rig: seen } = rig(1_000);
    update("a:1", "b:1");
    update();
    clock.advance(999);
    update("b:1", "a:1");
    clock.advance(10_000);
    assert.deepEqual([watch.isStale, watch.endpoints.size, seen.sets.length], [false, 2, 1]);
    update();
    update("c:1");
    assert.deepEqual([...watch.endpoints.keys()], ["c:1"]);
  });

  test("a first answer that is empty is one, a first failure too", () => {
    const empty = rig();
    empty.update();
    assert.deepEqual([empty.watch.resolution.kind, empty.rig.sets], ["known", [[]]]);
    const failed = rig();
    failed.fail();
    assert.equal(failed.watch.resolution.kind, "failed");
    const error = failed.watch.noEndpoint("users");
    assert.equal(error.rawMessage, "users: no endpoint (consul: the agent does not answer)");
    assert.deepEqual([error.code, error.cause], [Code.Unavailable, down]);
    failed.update("a:1");
    assert.equal(failed.watch.resolution.kind, "known");
  });

  test("asks the resolver to look again once in 5 s", () => {
    const { clock, watch, rig: seen } = rig();
    watch.refresh();
    watch.refresh();
    clock.advance(4_999);
    watch.refresh();
    assert.equal(seen.refreshed, 1);
    clock.advance(1);
    watch.refresh();
    assert.equal(seen.refreshed, 2);
  });

  test("D01: calls without an endpoint make a resolver look that has failed, 5 s after it failed", () => {
    const { clock, watch, fail, rig: seen } = rig();
    fail();
    clock.advance(4_999);
    watch.noEndpoint("users");
    assert.equal(seen.refreshed, 0);
    clock.advance(1);
    watch.noEndpoint("users");
    watch.noEndpoint("users");
    assert.equal(seen.refreshed, 1);
    fail();
    clock.advance(5_000);
    watch.noEndpoint("users");
    assert.equal(seen.refreshed, 2);
  });

  test("K02: calls all the time make a name that does not exist be looked up eight times in 20 s at most", async () => {
    const clock = new VirtualClock();
    let looks = 0;
    let exists = false;
    const look = async () => {
      looks++;
      if (!exists) throw down;
      return { endpoints: [{ address: "a:1" }], holdMs: 60_000 };
    };
    const polling = new Polling("dns", look, { clock, random: () => 0.5 });
    const watch = new EndpointWatch(
      {
        name: "dns",
        watch: (listener, signal) => void polling.run(listener, signal),
        refresh: () => polling.refresh(),
      },
      { clock, onChange: () => {} },
    );
    for (; clock.nowMs() < 20_000; await clock.pass(100)) watch.noEndpoint("users");
    assert.ok(looks >= 5 && looks <= 8, `${looks} looks`);
    exists = true;
    for (let ms = 0; ms < 5_000; ms += 100) {
      if (watch.resolution.kind === "failed") watch.noEndpoint("users");
      await clock.pass(100);
    }
    assert.equal(watch.resolution.kind, "known");
    watch.close();
  });

  test("once closed it changes no more", () => {
    const { clock, watch, update, fail, rig: seen, signal } = rig();
    update("a:1");
    update();
    watch.close();
    clock.advance(60_000);
    update("b:1");
    fail();
    watch.refresh();
    assert.deepEqual([seen.sets.length, seen.failures, seen.refreshed], [1, 0, 0]);
    assert.deepEqual([signal()?.aborted, clock.nextMs, watch.isStale], [true, undefined, false]);
  });
});

test("a list is found at once, and checked before", () => {
  const found: (readonly Endpoint[])[] = [];
  const listener = { update: (list: readonly Endpoint[]) => void found.push(list), failed: () => {} };
  const resolver = staticResolver(["a:1", { address: "b:1", weight: 2, zone: "b" }], "users");
  resolver.watch(listener, new AbortController().signal);
  resolver.watch(listener, AbortSignal.abort());
  assert.deepEqual(found, [[{ address: "a:1" }, { address: "b:1", weight: 2, zone: "b" }]]);
  assert.deepEqual([resolver.name, resolver.authority], ["list", "users"]);
  assert.throws(() => staticResolver([]), /must have one at least/);
  for (const wrong of [{}, { address: "" }, null, 7, ""]) {
    assert.throws(() => staticResolver([wrong as string]), /an endpoint is an address such as/);
  }
});
