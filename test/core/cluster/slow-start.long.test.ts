import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { pickerOf, type BalancePolicy } from "../../../src/core/cluster/balance.ts";
import { NewEndpoints, type RampedEndpoint } from "../../../src/core/cluster/new-endpoints.ts";
import { Ramp, slowStartDefaults } from "../../../src/core/cluster/ramp.ts";
import { seeded } from "../../support/virtual-clock.ts";
import { Simulation, type SimulatedServer } from "./simulated-servers.ts";

const windowMs = 10_000;

describe("the way to the whole weight", () => {
  for (const [what, aggression, at] of [
    ["a straight line", 1, [0.1, 0.1, 0.5, 0.9, 1]],
    ["faster at first", 2, [0.1, 0.316, 0.707, 0.949, 1]],
    ["slower at first", 0.5, [0.1, 0.1, 0.25, 0.81, 1]],
  ] as const) {
    test(`${what}: aggression ${aggression}`, () => {
      const ramp = new Ramp({ windowMs, aggression, minWeight: 0.1 }, 500);
      const factors = [0, 1_000, 5_000, 9_000, 10_000].map((ageMs) => ramp.factor(500 + ageMs));
      for (const [index, factor] of factors.entries())
        assert.ok(Math.abs(factor - (at[index] ?? 0)) < 0.01, factors.join(", "));
    });
  }
});

describe("which endpoints are slowed", () => {
  const endpoint = (isOriginal: boolean): RampedEndpoint => ({
    isOriginal,
    wasReady: false,
    ramp: undefined,
  });
  const slowStart = { ...slowStartDefaults, windowMs };

  test("not those of a wholly new set, whenever they are connected", () => {
    const news = new NewEndpoints(slowStart);
    assert.equal(news.found(true), true);
    const all = [0, 1, 2].map(() => endpoint(true));
    for (const [others, one] of all.entries()) {
      news.ready(one, others, 1_000 * others);
      assert.equal(one.ramp, undefined);
    }
  });

  test("one that is found later beside others", () => {
    const news = new NewEndpoints(slowStart);
    news.ready(endpoint(true), 0, 0);
    assert.equal(news.found(false), false);
    const late = endpoint(false);
    news.ready(late, 1, 20);
    assert.equal(late.ramp?.factor(20), 0.1);
    assert.equal(late.ramp?.factor(20 + windowMs), 1);
  });

  test("one that could not be connected for a long time", () => {
    const news = new NewEndpoints(slowStart);
    news.ready(endpoint(true), 0, 0);
    const late = endpoint(true);
    news.ready(late, 1, windowMs);
    assert.notEqual(late.ramp, undefined);
  });

  test("not a lone one, not one that is only reconnected, and none without a window", () => {
    const news = new NewEndpoints(slowStart);
    news.ready(endpoint(true), 0, 0);
    const lone = endpoint(false);
    news.ready(lone, 0, 1);
    assert.equal(lone.ramp, undefined);
    news.ready(lone, 1, 5);
    assert.equal(lone.ramp, undefined, "reconnected");
    const off = new NewEndpoints();
    const late = endpoint(false);
    off.ready(late, 3, 1);
    assert.equal(late.ramp, undefined);
  });

  test("the endpoints that replace all others are a wholly new set", () => {
    const news = new NewEndpoints(slowStart);
    news.ready(endpoint(true), 0, 0);
    news.found(true);
    const next = [endpoint(true), endpoint(true)];
    news.ready(next[0] ?? assert.fail(), 0, 50_000);
    news.ready(next[1] ?? assert.fail(), 1, 50_100);
    assert.deepEqual(
      next.map(({ ramp }) => ramp),
      [undefined, undefined],
    );
  });
});

/** One new server among others, in steps as a cluster makes them. */
function withNew(policy: BalancePolicy, others: number, perServer: number, weight: number): Simulation {
  const random = seeded(3);
  const keys = seeded(4);
  const nextKey = (): number => Math.floor(keys() * 2 ** 32);
  const picker = pickerOf<SimulatedServer>({ policy }, { random, meanInFlight: () => servers.meanInFlight });
  const servers: Simulation = new Simulation(picker, random, policy === "hash" ? nextKey : undefined);
  const plan = { serviceMs: 10, places: 8 };
  for (let server = 0; server < others; server++) servers.add(`old ${server}`, { ...plan, weight });
  servers.at(2_000, () => {
    const ramp = new Ramp({ ...slowStartDefaults, windowMs }, 2_000);
    servers.add("new", plan);
    const fresh = servers.servers.at(-1) ?? assert.fail("no server");
    for (let ms = 0; ms <= windowMs; ms += ramp.stepMs) {
      servers.at(2_000 + ms, () => {
        fresh.weight = ramp.factor(servers.nowMs);
        servers.update();
      });
    }
  });
  servers.openLoop((others + 1) * perServer, 16_000);
  return servers;
}

describe("one new among 130", () => {
  for (const policy of ["p2c", "round_robin", "random", "least_request"] as const) {
    for (const weight of [1, 10]) {
      test(`${policy}, the others of weight ${weight}: its share grows, and is whole at the end of the window`, () => {
        const servers = withNew(policy, 130, 40, weight);
        const whole = 1 / (130 * weight + 1);
        const early = servers.share("new", 2_000, 3_000) / whole;
        const middle = servers.share("new", 6_500, 7_500) / whole;
        const late = servers.share("new", 12_000, 16_000) / whole;
        // By chance, of 5,240 calls a second.
        const tolerance = weight === 1 ? 0.35 : 0.9;
        assert.ok(early <= 0.15 + tolerance, `${early} of its share in the first second`);
        assert.ok(Math.abs(middle - 0.5) <= tolerance, `${middle} in the middle`);
        // Its lag is that of an endpoint with fewer calls: by p2c it gets some more.
        assert.ok(late >= 1 - tolerance && late <= 1.3 + tolerance, `${late} at the end`);
      });
    }
  }
});
