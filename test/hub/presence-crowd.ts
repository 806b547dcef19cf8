import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { parentPort, workerData } from "node:worker_threads";
import { WatchPeopleResponseSchema } from "../../gen/tsms/test/v1/live_pb.ts";
import { MemoryStore, memoryBus } from "../../src/hub/bus/memory-bus.ts";
import { Hub } from "../../src/hub/hub.ts";
import type { PresenceBounds } from "../../src/hub/presence/presence-bounds.ts";
import { longestTurnMs } from "../support/thread-time.ts";
import { madeMember } from "./made-member.ts";
import { presenceText } from "./presence-text.ts";

/** What a crowd that leaves costs: the longest turns of the event loop, in milliseconds, and what is told of it. */
export interface LeavingCrowd {
  readonly leaving: number;
  readonly told: readonly string[];
  /** A node that comes then reads the list. */
  readonly listing: number;
  /** The node of all others ends. */
  readonly stopping: number;
}

/** Bytes for each user of a crowd. */
export interface CrowdBytes {
  readonly own: number;
  readonly other: number;
}

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void; // The flag has made it.

/** A node by the clock of the machine: its event loop is what is measured. */
function startNode(store: MemoryStore, presence?: Partial<PresenceBounds>) {
  const hub = new Hub({
    bus: memoryBus(store),
    maxConnections: 50_000,
    maxPerUser: 0,
    joinsPerSecond: 0,
  });
  hub.attach().started();
  const topic = hub.topic("people", WatchPeopleResponseSchema, presence ? { presence } : {});
  const join = (user: string) => madeMember(hub, topic, "a", { principal: { id: user } });
  const crowd = async (count: number) => {
    const members: Awaited<ReturnType<typeof join>>[] = [];
    for (let i = 0; i < count; i++) {
      members.push(await join(`user-${i}`));
      if (i % 20 === 0) await nextTurn();
    }
    return members;
  };
  const hasUsers = async (count: number) => {
    while ((await topic.presence("a")).users !== count) await sleep(20);
  };
  return { hub, topic, join, crowd, hasUsers };
}

/** Half of the users of a node leave at once. */
async function leave(count: number): Promise<LeavingCrowd> {
  const store = new MemoryStore();
  const presence = { leaveDelayMs: 1_000 };
  const [a, b] = [startNode(store, presence), startNode(store, presence)];
  const members = await a.crowd(count);
  await b.hasUsers(count);
  const eve = await b.join("eve");
  const told = [presenceText(await eve.next()), presenceText(await eve.next())];
  const half = count / 2 + 1;
  const left = async () => {
    // A server hears of the ends of its connections in several turns.
    for (const [i, member] of members.entries()) {
      if (i % 2 === 0) member.leave();
      if (i % 200 === 0) await nextTurn();
    }
    await Promise.all([a.hasUsers(half), b.hasUsers(half)]);
  };
  const leaving = await longestTurnMs(left());
  do told.push(presenceText(await eve.next()));
  while (told.at(-1) !== `UPDATE  ${half}/${half}`);
  const late = startNode(store, presence);
  const listing = await longestTurnMs(late.hasUsers(half));
  const stopping = await longestTurnMs(a.hub.stop().then(() => late.hasUsers(1)));
  return { leaving, told, listing, stopping };
}

/** Members that have read all, of a topic with presence and one without. */
async function weigh(count: number): Promise<CrowdBytes> {
  const presence = { leaveDelayMs: 100, batchMs: 100, maxMembers: 10 };
  const store = new MemoryStore();
  const plain = startNode(new MemoryStore());
  const own = startNode(new MemoryStore(), presence);
  const far = startNode(store, presence);
  const other = startNode(store, presence);
  const kept: unknown[] = [await plain.crowd(100)];
  const used = async () => {
    await sleep(500); // Batches and delays are over.
    for (let i = 0; i < 4; i++) {
      collect();
      await nextTurn();
    }
    return process.memoryUsage().heapUsed;
  };
  const grown = async (node: typeof plain) => {
    const before = await used();
    kept.push(await node.crowd(count));
    if (node === plain) await plain.topic.publish("a", {}); // So that no member waits for its first message.
    return ((await used()) - before) / count;
  };
  const without = await grown(plain);
  const here = await grown(own);
  const both = await grown(far);
  await other.hasUsers(count);
  kept.length = 0;
  return { own: here - without, other: both - here };
}

if (parentPort !== null) {
  setInterval(() => {}, 1_000); // Timers of a hub keep no process.
  const { work, count } = workerData as { work: "leave" | "weigh"; count: number }; // Of the tests.
  parentPort.postMessage(await (work === "leave" ? leave(count) : weigh(count)));
  process.exit();
}
