import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { LiveService } from "../../gen/tsms/test/v1/live_pb.ts";
import { Hub, type RpcTopic } from "../../src/entries/hub.ts";
import { Checks, type Suite } from "../suite.ts";
import { brokers, hubBusFor, type RunningBroker } from "./brokers.ts";
import { Front } from "./front.ts";
import { kept } from "./kept.ts";
import { Readers } from "./readers.ts";

type Topic = RpcTopic<typeof LiveService.method.followRooms>;

interface Size {
  readonly perDoor: number;
  readonly rooms: number;
  readonly rounds: number;
  readonly kills: number;
  readonly perSecond: number;
  /** The longest silence of a client while nodes stop well, and while they are killed, in milliseconds. */
  readonly silenceMs: number;
  readonly killedMs: number;
}

/** Without a machine of their own clients are counted, and not timed. */
const counted = { silenceMs: Number.POSITIVE_INFINITY, killedMs: Number.POSITIVE_INFINITY };
const timed = { silenceMs: 2_000, killedMs: 5_000 };
const small: Size = { perDoor: 10, rooms: 5, rounds: 1, kills: 2, perSecond: 50, ...counted };
const whole: Size = { perDoor: 375, rooms: 20, rounds: 10, kills: 5, perSecond: 100, ...timed };
const file = fileURLToPath(new URL("hub-node.ts", import.meta.url));

/**
 * Two nodes of a hub on each broker, in front of clients of all doors, while nodes are restarted well and killed, and the
 * broker is killed.
 */
export const hubBrokers: Suite = {
  name: "hub-brokers",
  async run(isAll) {
    const checks = new Checks();
    for (const [name, start] of Object.entries(brokers)) {
      const broker = await start();
      try {
        await tryBroker(name, broker, isAll ? whole : small, checks);
      } finally {
        await broker.stop();
      }
    }
    return checks.result;
  },
};

async function tryBroker(name: string, broker: RunningBroker, size: Size, checks: Checks): Promise<void> {
  const ports = await freePorts(4);
  const nodes = [new Node(broker.url, ports.slice(0, 2)), new Node(broker.url, ports.slice(2))];
  const fronts = [0, 1].map((at) => new Front([ports[at] ?? 0, ports[at + 2] ?? 0]));
  const hub = new Hub({ bus: await hubBusFor(broker.url) });
  hub.attach(); // It publishes, without servers.
  const topic = hub.topic(LiveService.method.followRooms, kept);
  await Promise.all(nodes.map((node) => node.start()));
  const [http = "", grpc = ""] = await Promise.all(fronts.map((front) => front.start()));
  const readers = new Readers(http, grpc, size.perDoor, size.rooms);
  const publisher = new Publisher(topic, size);
  try {
    await checks.check(`${name}: all clients are there`, () => caughtUp(readers, publisher));
    await checks.check(`${name}: nodes are restarted in turn`, async () => {
      readers.forgetSilence();
      for (let round = 0; round < size.rounds; round++) {
        for (const node of nodes) {
          await node.stop();
          await node.start();
          await pause(500);
        }
      }
      await expectWhole(readers, publisher, size.silenceMs);
    });
    await checks.check(`${name}: nodes are killed`, async () => {
      readers.forgetSilence();
      for (const node of nodes) {
        await node.kill();
        await pause(500);
        await node.start();
        await pause(500);
      }
      await expectWhole(readers, publisher, size.killedMs);
    });
    await checks.check(`${name}: the broker is killed`, async () => {
      for (let kill = 0; kill < size.kills; kill++) {
        await broker.kill();
        await pause(300);
        await broker.restart();
        await pause(1_000);
      }
      await expectWhole(readers, publisher, Number.POSITIVE_INFINITY);
    });
  } finally {
    await publisher.stop();
    readers.close();
    for (const front of fronts) front.stop();
    await Promise.all(nodes.map((node) => node.kill()));
    await hub.stop();
  }
}

/** Nothing was lost, nothing doubled, nothing reset, and no client was silent for too long. */
async function expectWhole(readers: Readers, publisher: Publisher, silenceMs: number): Promise<void> {
  await caughtUp(readers, publisher);
  const sum = (of: (one: (typeof readers.all)[number]) => number): number =>
    readers.all.reduce((total, one) => total + of(one), 0);
  const found = {
    lost: sum(({ lost }) => lost),
    doubled: sum(({ doubled }) => doubled),
    resets: sum(({ resets }) => resets),
  };
  console.log(
    `  ${sum(({ received }) => received)} deliveries, p99 of the longest silence ${readers.silenceMs().toFixed()} ms`,
  );
  assert.deepEqual(found, { lost: 0, doubled: 0, resets: 0 });
  assert.ok(readers.silenceMs() <= silenceMs, `a client was silent for ${readers.silenceMs()} ms`);
}

/** Resolves as soon as all clients have what is published by now. */
async function caughtUp(readers: Readers, publisher: Publisher): Promise<void> {
  await publisher.confirmed();
  const tops = [...publisher.published];
  for (let left = 600; ; left--) {
    const behind = readers.all.filter(({ room, last }) => last < (tops[room] ?? 0));
    if (behind.length === 0) return;
    const [first] = behind;
    if (left === 0)
      throw new Error(`${behind.length} clients are behind, such as one of ${first?.door} at ${first?.last}`);
    await pause(100);
  }
}

/** Publishes in all rooms in turn, each message until the broker has it. */
class Publisher {
  /** How many were published in each room. */
  readonly published: number[];
  readonly #topic: Topic;
  #isOver = false;
  readonly #running: Promise<unknown>;
  readonly #waiting: (() => void)[] = [];

  constructor(topic: Topic, { rooms, perSecond }: Size) {
    this.#topic = topic;
    this.published = Array.from({ length: rooms }, () => 0);
    const everyMs = (1_000 * rooms) / perSecond;
    this.#running = Promise.all(this.published.map((_, room) => this.#run(room, everyMs)));
  }

  /** Resolves as soon as a further message of each room is there. */
  async confirmed(): Promise<void> {
    for (const room of this.published.keys()) {
      const from = this.published[room] ?? 0;
      while ((this.published[room] ?? 0) === from) {
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    }
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  async #run(room: number, everyMs: number): Promise<void> {
    for (let number = 1; !this.#isOver; number++) {
      await this.#publish(room, number);
      this.published[room] = number;
      for (const wake of this.#waiting.splice(0)) wake();
      await pause(everyMs);
    }
  }

  async #publish(room: number, number: number): Promise<void> {
    while (!this.#isOver) {
      try {
        await this.#topic.publish(`${room}`, { text: `${number}` }, { id: `${number}` });
        return;
      } catch {
        await pause(50); // The broker is away.
      }
    }
  }
}

/** A program with a hub. */
class Node {
  readonly #args: readonly string[];
  #process: ChildProcess | undefined;

  constructor(broker: string, ports: readonly number[]) {
    this.#args = [broker, ...ports.map(String)];
  }

  async start(): Promise<void> {
    this.#process = fork(file, this.#args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    const ended = once(this.#process, "exit").then(() => {
      throw new Error("the node has ended");
    });
    ended.catch(() => {}); // It ends later, too.
    await Promise.race([once(this.#process, "message"), ended]);
  }

  stop(): Promise<void> {
    return this.#end("SIGTERM");
  }

  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const running = this.#process;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const ended = once(running, "exit");
    running.kill(signal);
    await ended;
  }
}

async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as AddressInfo).port); // They listen on TCP.
  for (const server of servers) server.close();
  return ports;
}
