import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import type { CrowdBytes, LeavingCrowd } from "./presence-crowd.ts";

/** In a thread of its own: promises of a test are watched, which takes as much time as what is measured. */
async function inThread<T>(work: "leave" | "weigh", count: number): Promise<T> {
  const worker = new Worker(new URL("presence-crowd.ts", import.meta.url), { workerData: { work, count } });
  const [result] = (await once(worker, "message")) as T[]; // As the thread says it.
  assert.ok(result);
  return result;
}

test("R20: half of 20,000 members leave at once: one batch of counts, no turn above 50 ms, at other nodes too", async () => {
  const { leaving, told, listing, stopping } = await inThread<LeavingCrowd>("leave", 20_000);
  assert.ok(leaving <= 50, `${leaving} ms`);
  assert.deepEqual(told.slice(0, 2), ["SYNC  20000/20000", "UPDATE  20001/20001"]);
  assert.ok(told.length <= 5, `leaves of one time are told in as many batches as it has: ${told.join(", ")}`);
  assert.ok(listing <= 50, `${listing} ms for the list of all`);
  assert.ok(stopping <= 50, `${stopping} ms behind the end of a node`);
});

test("a user in a room costs at most 300 bytes, at each node", async () => {
  const { own, other } = await inThread<CrowdBytes>("weigh", 10_000);
  assert.ok(own <= 300, `${own} bytes at its own node`);
  assert.ok(other > 0 && other <= 300, `${other} bytes at another node`);
});
