import { strict as assert } from "node:assert";
import { describe, test } from "node:test";
import { pickerOf, type BalancePolicy } from "../../../src/core/cluster/balance.ts";
import { outlierDefaults } from "../../../src/core/cluster/outlier.ts";
import { seeded } from "../../support/virtual-clock.ts";
import { Simulation, type SimulatedServer } from "./simulated-servers.ts";

/** One call of a healthy server: 10 ms in the mean, 4 at the same time. */
const healthy = { serviceMs: 10, places: 4 };

/** Calls a second that keep a healthy server busy for 70 % of its time. */
const perServer = 280;

const seeds = [1, 2];

function simulation(policy: BalancePolicy, seed: number): Simulation {
  const random = seeded(seed);
  const keys = seeded(seed + 1_000);
  const picker = pickerOf<SimulatedServer>({ policy }, { random, meanInFlight: () => servers.meanInFlight });
  const nextKey = (): number => Math.floor(keys() * 2 ** 32);
  const servers: Simulation = new Simulation(picker, random, policy === "hash" ? nextKey : undefined);
  return servers;
}

function addHealthy(servers: Simulation, count: number): void {
  for (let server = 0; server < count; server++) servers.add(`healthy ${server}`, healthy);
}

function near(actual: number | undefined, expected: number, tolerance: number, what: string): void {
  const text = `${what}: ${((actual ?? 0) * 100).toFixed(1)} %, not ${(expected * 100).toFixed(1)} %`;
  assert.ok(Math.abs((actual ?? 0) - expected) <= tolerance, text);
}

for (const policy of ["p2c", "round_robin", "random", "least_request", "hash"] as const) {
  describe(policy, () => {
    for (const inFlight of [1, 64]) {
      test(`D09: with ${inFlight} calls in flight, equal endpoints have equal shares`, () => {
        for (const seed of seeds) {
          const servers = simulation(policy, seed);
          for (const name of ["a", "b", "c"]) servers.add(name, { serviceMs: 10 });
          servers.closedLoop(inFlight, 30_000);
          for (const [name, share] of servers.result.shares)
            near(share, 1 / 3, 0.03, `${name}, seed ${seed}`);
        }
      });

      test(`with ${inFlight} calls in flight, weights of 1, 2 and 7 are shares`, () => {
        for (const seed of seeds) {
          const servers = simulation(policy, seed);
          for (const weight of [1, 2, 7]) servers.add(String(weight), { serviceMs: 10, weight });
          servers.closedLoop(inFlight, 30_000);
          for (const [weight, share] of servers.result.shares) {
            near(share, Number(weight) / 10, 0.04, `weight ${weight}, seed ${seed}`);
          }
        }
      });
    }
  });
}

describe("under load", () => {
  for (const policy of ["p2c", "round_robin", "random", "least_request", "hash"] as const) {
    test(`${policy}: a new one has 50 to 150 % of its share within 2 s, and never twice its share in 100 ms`, () => {
      for (const seed of seeds) {
        const servers = simulation(policy, seed);
        addHealthy(servers, 9);
        servers.at(4_000, () => servers.add("new", healthy));
        servers.openLoop(10 * perServer, 8_000);
        near(servers.share("new", 5_000, 6_000), 0.1, 0.05, "in the second second");
        for (let fromMs = 4_000; fromMs < 8_000; fromMs += 100) {
          const share = servers.share("new", fromMs, fromMs + 100);
          assert.ok(share <= 0.2, `${share} from ${fromMs} ms`);
        }
      }
    });
  }
});

describe("one of ten that fails every call, with ejection", () => {
  for (const policy of ["p2c", "round_robin", "random", "least_request", "hash"] as const) {
    test(`${policy}: it has few calls, and its share again after it is well`, () => {
      for (const seed of seeds) {
        const servers = simulation(policy, seed);
        const plan = { serviceMs: 10, fails: true };
        addHealthy(servers, 9);
        servers.add("failing", plan);
        servers.eject(outlierDefaults);
        servers.at(20_000, () => (plan.fails = false));
        servers.openLoop(700, 75_000);
        const early = servers.share("failing", 0, 30_000);
        assert.ok(early <= 0.002, `${early} of the calls of the first 30 s`);
        const ramp = servers.share("failing", 30_000, 35_000) / 0.1;
        // The places of a ring do not move; by p2c it is quick while it has few calls.
        assert.ok(policy === "hash" || ramp < 0.6, `${ramp} of its share in the first half of the ramp`);
        near(servers.share("failing", 45_000, 75_000), 0.1, 0.03, `share, seed ${seed}`);
      }
    });

    test(`${policy}: while all fail, no more than the percentage are out`, () => {
      const servers = simulation(policy, 1);
      for (const name of ["a", "b", "c"]) servers.add(name, { serviceMs: 10, fails: true });
      servers.eject({ ...outlierDefaults, maxEjectionPercent: 67 });
      servers.openLoop(200, 60_000);
      assert.equal(servers.mostEjected, 2);
    });
  }
});

describe("p2c under load", () => {
  test("one of ten that is ten times slower has 3 % at most, and calls are as quick as without it", () => {
    for (const seed of seeds) {
      const without = simulation("p2c", seed);
      addHealthy(without, 9);
      without.openLoop(10 * perServer, 12_000);
      const servers = simulation("p2c", seed);
      addHealthy(servers, 9);
      servers.add("slow", { ...healthy, serviceMs: 100 });
      servers.openLoop(10 * perServer, 12_000);
      const share = servers.result.shares.get("slow") ?? 0;
      assert.ok(share <= 0.03, `${share} of the calls`);
      const [p99, before] = [servers, without].map(({ result }) => percentile(result.durationsMs, 0.99));
      assert.ok((p99 ?? 0) <= 1.5 * (before ?? 0), `p99 of ${p99} ms, ${before} without it`);
    }
  });

  test("one of ten that fails at once has 3 % at most", () => {
    for (const seed of seeds) {
      const servers = simulation("p2c", seed);
      addHealthy(servers, 9);
      servers.add("failing", { serviceMs: 1, fails: true });
      servers.openLoop(9 * perServer, 12_000);
      const share = servers.result.shares.get("failing") ?? 0;
      assert.ok(share <= 0.03, `${share} of the calls`);
    }
  });

  test("one that fails for 5 s has its share again 20 s later", () => {
    const servers = simulation("p2c", 1);
    const plan = { ...healthy, fails: true };
    addHealthy(servers, 4);
    servers.add("failing", plan);
    servers.at(5_000, () => (plan.fails = false));
    servers.openLoop(4 * perServer, 30_000);
    near(servers.share("failing", 25_000, 30_000), 1 / 5, 0.06, "share");
  });

  test("one that hangs gets few calls", () => {
    const servers = simulation("p2c", 1);
    addHealthy(servers, 9);
    servers.add("hanging", { serviceMs: 1e9 });
    servers.openLoop(9 * perServer, 6_000);
    const share = servers.result.shares.get("hanging") ?? 0;
    assert.ok(share <= 0.03, `${share} of the calls`);
  });

  test("one without an attempt for 5 s gets the next one", () => {
    const servers = simulation("p2c", 1);
    addHealthy(servers, 2);
    servers.add("failing", { serviceMs: 1, fails: true });
    servers.openLoop(perServer, 60_000);
    const times = servers.result.log.filter(({ server }) => server === "failing").map(({ atMs }) => atMs);
    const pauses = times.slice(1).map((atMs, index) => atMs - (times[index] ?? 0));
    assert.ok(Math.max(...pauses) < 5_100, `a pause of ${Math.max(...pauses)} ms`);
  });
});

describe("round robin", () => {
  test("over 1,000 picks each share is right within a point", () => {
    for (const seed of seeds) {
      const servers = simulation("round_robin", seed);
      const weights = [1, 2, 7, 0.5, 3.25];
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      for (const weight of weights) servers.add(String(weight), { serviceMs: 10, weight });
      servers.closedLoop(1, 1_000);
      for (const [weight, share] of servers.result.shares) near(share, Number(weight) / total, 0.01, weight);
    }
  });

  test("the first picks of many clients are spread as all others", () => {
    const first = new Map<string, number>();
    for (let seed = 0; seed < 5_000; seed++) {
      const servers = simulation("round_robin", seed);
      for (const weight of [1, 2, 7]) servers.add(String(weight), { serviceMs: 10, weight });
      servers.closedLoop(1, 1);
      const name = servers.result.log[0]?.server ?? "";
      first.set(name, (first.get(name) ?? 0) + 1);
    }
    for (const [weight, count] of first) near(count / 5_000, Number(weight) / 10, 0.02, `weight ${weight}`);
  });

  test("the same endpoint does not come twice in a row while others have as much weight", () => {
    const servers = simulation("round_robin", 1);
    for (const name of ["a", "b", "c"]) servers.add(name, { serviceMs: 10 });
    servers.closedLoop(1, 300);
    const { log } = servers.result;
    for (const [index, { server }] of log.entries()) assert.notEqual(server, log[index + 1]?.server);
  });
});

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.floor(share * sorted.length)] ?? 0;
}
