import assert from "node:assert/strict";
import { test } from "node:test";
import { Limiter } from "../../../src/core/limits/limiter.ts";
import { madeCall } from "../../support/made-call.ts";

test("O14 a million different keys take no more memory than the most that are kept", () => {
  const limiter = new Limiter({ ip: { key: ["ip", "header:x-key"], rate: "100/1m" } });
  const head = madeCall();
  let key = "";
  const call = { ...head, header: () => key };
  const ask = (from: number, until: number): number => {
    let slowestMs = 0;
    for (let at = from; at < until; at += 1_000) {
      const since = performance.now();
      for (let one = at; one < at + 1_000; one++) {
        key = `key-${one}`;
        void limiter.beforeAuthentication.admit(call);
      }
      slowestMs = Math.max(slowestMs, performance.now() - since);
    }
    return slowestMs;
  };
  ask(0, 20_000);
  globalThis.gc?.();
  const before = process.memoryUsage();
  ask(20_000, 1_000_000);
  globalThis.gc?.();
  const after = process.memoryUsage();
  const grown = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers;
  assert.ok(grown < 24 * 2 ** 20, `${grown} bytes`);
  head.context.end();
});
