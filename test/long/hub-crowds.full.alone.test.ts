/** Thousands of clients that come at once, or leave as their server stops. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { AskedProcess } from "../support/asked-process.ts";
import { EventClient } from "../support/event-crowd.ts";
import { quantile } from "../support/waiting-server.ts";

const fixture = "long/fixtures/crowd-node.ts";
const pathOf = (room: number): string => `/test/v1/kept?rooms=room-${room}`;

/** Resolves as soon as something holds, which is looked at every few milliseconds. */
async function until(holds: () => boolean | Promise<boolean>, withinMs: number, what: string): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > endMs) assert.fail(`not within ${withinMs} ms: ${what}`);
    await pause(5);
  }
}

test("R13: 5,000 clients come back at once, 20 messages behind in 50 rooms: few readings, all live in 5 s", async (t) => {
  const [clients, rooms, behind] = [5_000, 50, 20];
  await using node = await AskedProcess.start(fixture);
  const port = await node.ask<number>("port");
  await using caller = await AskedProcess.start("long/fixtures/steady-caller.ts", [port]);
  const quiet = await calls(caller, pause(5_000));
  const before = await node.ask<string[]>("publish", { rooms, count: 1, text: "before" });
  await node.ask("publish", { rooms, count: behind, text: "missed" });
  const beganMs = performance.now();
  const cpuMs = await node.ask<number>("cpuMs");
  let crowd: EventClient[] = [];
  const coming = (async () => {
    let left = clients;
    const done = new Set<EventClient>();
    crowd = await EventClient.open(
      port,
      clients,
      (place) => [pathOf(place % rooms), before[place % rooms]],
      (client) => {
        if (done.has(client) || client.events < behind) return;
        done.add(client);
        left--;
      },
    );
    await until(() => left === 0, 60_000, "all have what they have missed");
  })();
  const busy = await calls(caller, coming);
  await node.ask("publish", { rooms, count: 1, text: "live" });
  await until(() => crowd.every(({ events }) => events === behind + 1), 10_000, "all are live");
  const liveMs = performance.now() - beganMs;
  const reads = await node.ask<number>("reads");
  const usedMs = (await node.ask<number>("cpuMs")) - cpuMs;
  const [before99, during99] = [quantile(quiet, 0.99), quantile(busy, 0.99)];
  t.diagnostic(
    `live after ${Math.round(liveMs)} ms, ${Math.round(usedMs)} ms of them CPU time of the node, ${reads} readings; unary p99 ${before99.toFixed(2)} ms before, ` +
      `${during99.toFixed(2)} ms of ${busy.length} meanwhile`,
  );
  for (const client of crowd) client.close();
  assert.ok(reads <= 100, `${reads} readings of ${rooms} rooms`);
  // What other programs take of the machine, the clients among them, is not the node's.
  assert.ok(liveMs <= 5_000, `${liveMs} ms, ${usedMs} ms of CPU time`);
  for (const { text } of crowd.slice(0, 100)) {
    assert.equal(text.split('"text":"missed"').length - 1, behind);
    assert.match(text, /ts-ms-resume: recovered/);
  }
  assert.ok(during99 <= 3 * before99, `${during99} ms, before ${before99} ms`);
});

/** Milliseconds of calls that are made while something is done. */
async function calls(caller: AskedProcess, work: Promise<unknown>): Promise<readonly number[]> {
  await caller.ask("begin");
  await work;
  return caller.ask<number[]>("end");
}

for (const count of [1, 100]) {
  test(`R17: a server with ${count} streams ends them within a second of SIGTERM`, async () => {
    await using node = await AskedProcess.start(fixture);
    const clients = await streams(node, count);
    const signalledMs = performance.now();
    node.kill("SIGTERM");
    await until(() => clients.every(({ endedMs }) => endedMs !== undefined), 5_000, "all have ended");
    const lastMs = Math.max(...clients.map(({ endedMs = Infinity }) => endedMs)) - signalledMs;
    assert.ok(lastMs <= 1_000, `${lastMs} ms`);
    for (const { text } of clients) assert.match(text, /^retry: \d+\nevent: error$/m);
    await node.ended;
  });
}

test("R17: a server with 5,000 streams ends them evenly behind SIGTERM, and they come to another one as evenly", async (t) => {
  const [count, perSecond] = [5_000, 1_000];
  await using node = await AskedProcess.start(fixture);
  await using other = await AskedProcess.start(fixture);
  const otherPort = await other.ask<number>("port");
  const back: Promise<EventClient[]>[] = [];
  const ended = new Set<EventClient>();
  const clients = await streams(node, count, (client) => {
    if (client.endedMs === undefined || ended.has(client)) return;
    ended.add(client);
    const retryMs = Number([...client.text.matchAll(/^retry: (\d+)$/gm)].at(-1)?.[1]);
    back.push(pause(retryMs).then(() => EventClient.open(otherPort, 1, () => [pathOf(0)])));
  });
  const signalledMs = performance.now();
  node.kill("SIGTERM");
  await until(() => ended.size === count, 20_000, "all have ended");
  const ends = clients.map(({ endedMs = Infinity }) => endedMs - signalledMs);
  spreadIsEven(t, ends);
  const again = (await Promise.all(back)).flat();
  await until(async () => (await other.ask<number>("members")) === count, 20_000, "all are back");
  const arrivals = (await other.ask<number[]>("arrivals")).toSorted((a, b) => a - b);
  const most = Math.max(
    ...arrivals.map((atMs) => arrivals.filter((one) => one >= atMs && one < atMs + 100).length),
  );
  t.diagnostic(`at most ${most} came in 100 ms`);
  assert.ok(most <= (2 * perSecond) / 10, `${most} in 100 ms`);
  for (const client of again) client.close();
});

/** Clients that read a room of a node. */
async function streams(
  node: AskedProcess,
  count: number,
  changed?: (client: EventClient) => void,
): Promise<EventClient[]> {
  const port = await node.ask<number>("port");
  const clients = await EventClient.open(port, count, () => [pathOf(0)], changed);
  await until(async () => (await node.ask<number>("members")) === count, 30_000, "all have joined");
  return clients;
}

/** As many end in each fifth of the time. */
function spreadIsEven(t: TestContext, ends: readonly number[]): void {
  const first = Math.min(...ends);
  const spreadMs = Math.max(...ends) - first;
  const fifths = [0, 0, 0, 0, 0];
  for (const atMs of ends) {
    const place = Math.min(4, Math.floor(((atMs - first) / spreadMs) * 5));
    fifths[place] = (fifths[place] ?? 0) + 1;
  }
  t.diagnostic(`${Math.round(spreadMs)} ms: ${fifths.join(", ")}`);
  assert.ok(spreadMs >= 4_000 && spreadMs <= 6_500, `${spreadMs} ms`);
  for (const some of fifths)
    assert.ok(Math.abs(some - ends.length / 5) <= 0.2 * (ends.length / 5), fifths.join());
}
