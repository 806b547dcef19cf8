import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { healthDefaults, type EndpointHealth, type HealthOptions } from "../../../src/core/cluster/health.ts";
import { PolledCheck, type Answer } from "../../../src/core/health-checks/polled-check.ts";
import { connectionDefaults, mergeConnectionOptions } from "../../../src/core/http2/connection-options.ts";
import type { StreamSources } from "../../../src/core/http2/stream-source.ts";
import { seeded, VirtualClock } from "../../support/virtual-clock.ts";

/** A connection that is only passed on. */
const connection: StreamSources = {
  options: mergeConnectionOptions(connectionDefaults),
  sourceOf: () => assert.fail("no call is made"),
};

/** One endpoint that is asked again and again. */
class Scene {
  readonly clock = new VirtualClock();
  readonly found: EndpointHealth[] = [];
  readonly askedMs: number[] = [];
  readonly aborted: number[] = [];
  answer: Answer | "hangs" = "serving";
  readonly check: PolledCheck;

  constructor(options: Partial<HealthOptions> = {}) {
    this.check = new PolledCheck(
      (_, signal) => {
        this.askedMs.push(this.clock.nowMs());
        signal.addEventListener("abort", () => this.aborted.push(this.clock.nowMs()));
        return this.answer === "hangs" ? new Promise(() => {}) : Promise.resolve(this.answer);
      },
      {
        options: { ...healthDefaults, mode: "check", ...options },
        clock: this.clock,
        random: seeded(5),
        report: (health) => this.found.push(health),
        unimplemented: () => {},
      },
    );
  }
}

describe("polled health", () => {
  test("asks at once, and every 5 s ± 20 %", async () => {
    const scene = new Scene();
    scene.check.follow(connection);
    await scene.clock.pass(60_000);
    assert.equal(scene.askedMs[0], 0);
    const pauses = scene.askedMs.slice(1).map((atMs, index) => atMs - (scene.askedMs[index] ?? 0));
    for (const pause of pauses) assert.ok(pause >= 4_000 && pause <= 6_000, `${pause}`);
    assert.ok(new Set(pauses).size > 5);
    assert.ok(scene.found.every((health) => health === "serving"));
  });

  test("three failures in a row take it out, one success brings it back", async () => {
    const scene = new Scene({ intervalMs: 100 });
    scene.answer = "failed";
    scene.check.follow(connection);
    await scene.clock.pass(0);
    assert.equal(scene.found.length, 0);
    scene.answer = "serving";
    await scene.clock.pass(120);
    scene.answer = "failed";
    await scene.clock.pass(240);
    assert.ok(!scene.found.includes("not_serving"), "two in a row, and one before");
    await scene.clock.pass(120);
    assert.equal(scene.found.at(-1), "not_serving");
    scene.answer = "serving";
    await scene.clock.pass(120);
    assert.equal(scene.found.at(-1), "serving");
  });

  test("NOT_SERVING takes it out at once", async () => {
    const scene = new Scene();
    scene.answer = "not_serving";
    scene.check.follow(connection);
    await scene.clock.pass(0);
    assert.deepEqual(scene.found, ["not_serving"]);
  });

  test("no answer in time is a failure, and ends the question", async () => {
    const scene = new Scene({ failures: 2 });
    scene.answer = "hangs";
    scene.check.follow(connection);
    await scene.clock.pass(1_999);
    assert.deepEqual(scene.aborted, []);
    await scene.clock.pass(1);
    assert.deepEqual(scene.aborted, [2_000]);
    await scene.clock.pass(6_000 + 2_000);
    assert.deepEqual(scene.found, ["not_serving"]);
  });

  test("nothing is asked without a connection, and at once as there is one again", async () => {
    const scene = new Scene();
    scene.check.follow(undefined);
    await scene.clock.pass(60_000);
    assert.equal(scene.askedMs.length, 0);
    scene.check.follow(connection);
    await scene.clock.pass(1_000);
    scene.check.follow(undefined);
    await scene.clock.pass(60_000);
    assert.equal(scene.askedMs.length, 1);
    scene.check.follow(connection);
    await scene.clock.pass(0);
    assert.equal(scene.askedMs.length, 2);
    scene.check.follow(connection);
    scene.check.close();
    await scene.clock.pass(60_000);
    assert.equal(scene.askedMs.length, 2);
    assert.equal(scene.clock.nextMs, undefined);
  });
});
