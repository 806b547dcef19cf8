import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { toInvoker, toTransport } from "../../../src/core/call/transport.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { reachable } from "../../../src/core/traffic/side.ts";
import { Traffic } from "../../../src/core/traffic/traffic.ts";
import type { TrafficRule } from "../../../src/core/traffic/traffic-rule.ts";
import { all, failure } from "../../support/failure.ts";
import { callsOf, counts, eventually, upstreams, type Upstream } from "./traffic-fixture.ts";

function rulesOver(list: readonly Upstream[]): Traffic {
  const byName = new Map(list.map((upstream, index) => [`v${index + 1}`, upstream.transport]));
  const [first] = list;
  assert.ok(first !== undefined);
  return new Traffic(toInvoker(first.transport), {
    names: [...byName.keys()],
    find(name) {
      const found = byName.get(name);
      return found && reachable(toInvoker(found), found);
    },
  });
}

describe("rules by the names of upstreams", () => {
  test("change from one call to the next, whole or not at all", async (t) => {
    const list = await upstreams(t, 3);
    const traffic = rulesOver(list);
    assert.ok(traffic.invoker.unaryBytes !== undefined);
    const client = createClient(EchoService, toTransport(traffic.invoker));
    await client.echo({});
    assert.deepEqual(callsOf(list), [1, 0, 0]);
    const selector = "tsms.test.v1.EchoService/Echo";
    const split = [
      { to: "v1", weight: 0 },
      { to: "v2", weight: 1 },
    ];
    const rules: TrafficRule[] = [
      {
        selector,
        split,
        when: [{ header: "x-canary", is: "always", to: "v1" }],
        mirror: { to: "v3", methods: "*" },
        faults: [{ percent: 100, abort: Code.Aborted, when: [{ header: "x-drill", present: true }] }],
      },
      { selector: "tsms.*", split: [{ to: "v3", weight: 1 }] },
    ];
    traffic.set(rules);
    await client.echo({});
    await client.echo({}, { headers: { "x-canary": "always" } });
    await failure(client.echo({}, { headers: { "x-drill": "1" } }), Code.Aborted);
    await all(client.repeat({}));
    await eventually(() => list[2]?.echo.calls === 3);
    assert.deepEqual(callsOf(list), [2, 1, 3]);
    assert.deepEqual(counts("splits", selector), { "v1 when": 1, "v2 weight": 1 });
    assert.deepEqual(counts("faults", selector), { abort: 1 });

    const wrong: readonly (readonly [object, RegExp])[] = [
      [{}, /^TypeError: traffic\[1\]: selector is missing$/],
      [{ selector: "a b" }, /traffic\[1\]: selector "a b"/],
      [{ selector, splitt: [] }, /traffic\[1\]: there is no splitt; did you mean split\?/],
      [{ selector, split: [{ to: "v4", weight: 1 }] }, /split: there is no upstream 'v4'; did you mean v1\?/],
      [
        { selector, split: [{ to: "other", weight: 1 }] },
        /there is no upstream 'other'; there are v1, v2, v3/,
      ],
      [{ selector, split: [{ to: "v1", weight: 0 }] }, /split: the weights sum to 0/],
      [{ selector, mirror: { to: "v9", percent: 1 } }, /mirror: there is no upstream 'v9'/],
      [{ selector, mirror: { to: "v1", percent: 101 } }, /mirror: percent must be/],
      [{ selector, when: [] }, /when, sticky and fallback need split/],
      [{ selector, faults: [{ percent: 1 }] }, /faults\[0\]: give delayMs, abort or allowHeaders/],
    ];
    for (const [rule, text] of wrong) {
      assert.throws(() => traffic.set([{ selector: "*" }, rule as TrafficRule]), text);
    }
    await client.echo({});
    assert.equal(list[1]?.echo.calls, 2, "the rules before are in use");
    assert.deepEqual(traffic.unmatched([EchoService]), []);
    traffic.set([]);
    await client.echo({});
    assert.equal(list[0]?.echo.calls, 3);
  });

  test("the old rules' copies end when rules change, and all of them at the end", async (t) => {
    const hanging = await upstreams(t, 1, true, (echo) => (echo.echo = () => new Promise(() => {})));
    const list = [...(await upstreams(t, 1)), ...hanging];
    const traffic = rulesOver(list);
    const client = createClient(EchoService, toTransport(traffic.invoker));
    const before = counts("mirrors", "v2")["cut"] ?? 0;
    traffic.set([{ selector: "*", mirror: { to: "v2", methods: "*" } }]);
    await client.echo({});
    traffic.set([{ selector: "*", mirror: { to: "v2", methods: "*" } }]);
    await eventually(() => counts("mirrors", "v2")["cut"] === before + 1);
    await client.echo({});
    traffic.close();
    await eventually(() => counts("mirrors", "v2")["cut"] === before + 2);
  });

  test("servers of this process are called without their observers where the gateway observes", async (t) => {
    const list = await upstreams(t, 2, false);
    const traffic = rulesOver(list);
    assert.ok(traffic.invoker.unobserved !== undefined);
    assert.ok(!("unaryBytes" in traffic.invoker));
    traffic.set([{ selector: "*", split: [{ to: "v2", weight: 1 }], faults: [{ percent: 0, delayMs: 1 }] }]);
    await createClient(EchoService, toTransport(traffic.invoker.unobserved)).echo({});
    assert.deepEqual(callsOf(list), [0, 1]);
  });
});
