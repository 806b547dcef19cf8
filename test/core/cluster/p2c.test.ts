import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { LoadedAttempt } from "../../../src/core/cluster/endpoint-load.ts";
import { P2c } from "../../../src/core/cluster/p2c.ts";
import { seeded } from "../../support/virtual-clock.ts";
import { endpoints, type TestEndpoint } from "./test-endpoints.ts";

/** Attempts on an endpoint, one after the other; each lasts so long. */
function serve({ load }: TestEndpoint, calls: number, lastsMs: number, ok = true): void {
  for (let call = 0; call < calls; call++) {
    const attempt: LoadedAttempt = { unary: true, beganMs: 0, older: undefined, newer: undefined };
    load.begin(attempt, call * lastsMs);
    load.end(attempt, ok ? "success" : "failure", ok, (call + 1) * lastsMs);
  }
}

suite("a new endpoint begins with the median lag of the others", () => {
  test("as the list has it", () => {
    const [quick, usual, slow, fresh] = endpoints(4);
    if (quick === undefined || usual === undefined || slow === undefined || fresh === undefined)
      assert.fail();
    for (const [endpoint, lagMs] of [
      [quick, 10],
      [usual, 30],
      [slow, 500],
    ] as const) {
      serve(endpoint, 20, lagMs);
      assert.equal(endpoint.load.lagMs, lagMs);
    }
    const picker = new P2c<TestEndpoint>(seeded(1));
    picker.update([quick, usual, slow], 10_000);
    assert.equal(fresh.load.lagMs, undefined);
    picker.update([quick, usual, slow, fresh], 10_000);
    assert.equal(fresh.load.lagMs, 30);
    assert.deepEqual(
      [quick, usual, slow].map(({ load }) => load.lagMs),
      [10, 30, 500],
    );
  });

  test("and has its own with its first calls", () => {
    const [old, fresh] = endpoints(2);
    if (old === undefined || fresh === undefined) assert.fail();
    serve(old, 20, 100);
    new P2c<TestEndpoint>(seeded(1)).update([old, fresh], 2_000);
    serve(fresh, 50, 2_100);
    assert.ok((fresh.load.lagMs ?? 0) > 2_000, `${fresh.load.lagMs} ms`);
  });

  test("without others that have one, it has none", () => {
    const all = endpoints(2);
    new P2c<TestEndpoint>(seeded(1)).update(all, 0);
    for (const { load } of all) assert.equal(load.lagMs, undefined);
  });
});

test("failures never make an endpoint look fast, and a caller's cancel changes nothing", () => {
  const [failing, cancelled] = endpoints(2);
  if (failing === undefined || cancelled === undefined) assert.fail();
  for (const endpoint of [failing, cancelled]) serve(endpoint, 20, 100);
  serve(failing, 100, 1, false);
  assert.equal(failing.load.lagMs, 100);
  assert.ok(failing.load.success < 0.2, `${failing.load.success}`);
  for (let call = 0; call < 100; call++) {
    const attempt: LoadedAttempt = { unary: true, beganMs: 0, older: undefined, newer: undefined };
    cancelled.load.begin(attempt, 2_000);
    cancelled.load.end(attempt, "nothing", false, 2_001);
  }
  assert.deepEqual([cancelled.load.lagMs, cancelled.load.success], [100, 1]);
});
