import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { dialSeveral, severalServers } from "../../support/several-servers.ts";

/** Longer than a connection takes to become ready on a busy machine, in milliseconds. */
const shortMs = 150;

/**
 * A server that ends each connection soon, except the fifth, which lasts `fifthMs`. The pauses between the end of one
 * connection and the next one, in milliseconds.
 */
async function pausesOf(t: TestContext, fifthMs: number, count: number): Promise<readonly number[]> {
  const [server] = await severalServers(t, 1);
  if (server === undefined) assert.fail("no server");
  const { promise, resolve } = Promise.withResolvers<void>();
  const pauses: number[] = [];
  let endsMs = 0;
  server.front.lifeMs = (index) => {
    const nowMs = performance.now();
    if (index > 0) pauses.push(nowMs - endsMs);
    if (pauses.length === count) resolve();
    const lifeMs = index === 4 ? fifthMs : shortMs;
    endsMs = nowMs + lifeMs;
    return lifeMs;
  };
  const backoff = { initialMs: 200, maxMs: 60_000 };
  const { transport } = dialSeveral(t, server.address, { name: "s", backoff });
  await Promise.all([transport.ready(), promise]);
  return pauses;
}

test("the backoff is forgotten when a connection has lived for 5 s, and not before", async (t) => {
  const [after4s, after5s] = await Promise.all([pausesOf(t, 4_000, 5), pausesOf(t, 5_300, 7)]);
  // The pauses are 320, 512, 819 and 1,311 ms, +/-20 %; at once is before the shortest of them.
  const atOnce = 250;
  for (const [first = 0, second = 0, third = 0, fourth = 0] of [after4s, after5s]) {
    assert.ok(first < atOnce, `made again at once, not after ${first} ms`);
    assert.ok(second > 255 && third > 408 && fourth > 654, `${second}, ${third} and ${fourth} ms`);
  }
  assert.ok((after4s[4] ?? 0) > 1_047, `${after4s[4]} ms after a connection of 4 s`);
  const [again = 0, once = 0, twice = 0] = after5s.slice(4);
  assert.ok(again < atOnce && once < atOnce, `${again} and ${once} ms after one of 5 s`);
  assert.ok(twice > 255 && twice < 1_000, `the pauses begin anew, not with ${twice} ms`);
});
