/** Rooms of workers that come, stop and die, against what each publisher was told: nothing is lost in silence. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import type { BusNode } from "../../../src/hub/bus/bus.ts";
import { isUnknownOutcome } from "../../../src/hub/bus/unknown-outcome.ts";
import { WorkerBus } from "../../../src/hub/bus/workers/worker-bus.ts";
import type { Position } from "../../../src/hub/room/position.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";
import { formOf, publication } from "./bus-contract.ts";
import { type MadeWorker, MadeWorkers } from "./made-channels.ts";

const rooms = ["chat/a", "chat/b", "chat/c", "chat/d"];
const history = { size: 1_000, ttlMs: 3_600_000, bytes: 10 ** 6 };

/** Numbers from 0 to 1 that are the same for a seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A worker with the hub's bus, and what it was told of each room. */
interface Node {
  readonly worker: MadeWorker;
  readonly bus: WorkerBus;
  readonly told: Map<string, string[]>;
  readonly places: Map<string, Position>;
  /** Resolves when the process is no more. */
  readonly dead: PromiseWithResolvers<"unknown">;
}

class Program {
  readonly clock = new VirtualClock(1_000);
  readonly nodes: Node[] = [];
  readonly #steps: (() => void)[] = [];
  readonly #workers = new MadeWorkers((work) => this.#steps.push(work));
  readonly problems: string[] = [];
  #started = 0;

  /** Everything that is under way arrives, and what waits for a time comes. */
  async settle(ms = 3_000): Promise<void> {
    for (let passed = 0; passed <= ms; passed += 50) {
      await this.#deliver();
      this.clock.advance(50);
      await this.#deliver();
    }
  }

  /** So many messages arrive. */
  async step(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.#steps.shift()?.();
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    }
  }

  async start(): Promise<Node> {
    const worker = this.#workers.start();
    const bus = new WorkerBus(worker.channel, true);
    const dead = Promise.withResolvers<"unknown">();
    const node: Node = { worker, bus, told: new Map(), places: new Map(), dead };
    const id = `node${++this.#started}`;
    const busNode: BusNode = {
      name: "hub",
      id,
      clock: this.clock,
      form: formOf(id, this.clock),
      checkMs: 1_000,
      published: (room, { publication: { id: message }, position }) =>
        this.#told(node, room, message, position),
      begun: (room, top) => {
        node.told.get(room)?.push("reset");
        node.places.set(room, top);
      },
      frame: () => {},
      busIs: () => {},
    };
    await this.during(bus.start(busNode));
    await this.during(bus.subscribe(rooms));
    for (const room of rooms) node.told.set(room, []);
    const tops = await this.during(bus.tops(rooms.map((room) => ({ room, seen: undefined }))));
    for (const [place, top] of tops.entries()) {
      const room = rooms[place] ?? "";
      if (!node.places.has(room)) node.places.set(room, top);
    }
    this.nodes.push(node);
    return node;
  }

  /** Waits for something while messages arrive and time passes. */
  async during<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const settled = work.finally(() => (isDone = true));
    settled.catch(() => {}); // It is thrown below.
    for (let i = 0; !isDone; i++) {
      if (i > 2_000) throw new Error("it takes for ever");
      await this.#deliver();
      if (!isDone) this.clock.advance(5);
    }
    return work;
  }

  async #deliver(): Promise<void> {
    do await this.step(1);
    while (this.#steps.length > 0);
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  }

  /** Each position once, in order. */
  #told(node: Node, room: string, message: string, position: Position | undefined): void {
    node.told.get(room)?.push(message);
    if (position === undefined) return;
    const last = node.places.get(room);
    node.places.set(room, position);
    if (last?.epoch === position.epoch && position.offset !== last.offset + 1)
      this.problems.push(`${room}: ${position.offset} behind ${last.offset}`);
  }
}

type Outcome = "published" | "unknown" | "refused";

async function publish(node: Node, room: string, id: string, isKept: boolean): Promise<Outcome> {
  const { signal } = new AbortController();
  const said = { room, publication: publication(id), history: isKept ? history : undefined, dedupeMs: 0 };
  try {
    await node.bus.publish(said, signal);
    return "published";
  } catch (reason) {
    if (isUnknownOutcome(reason)) return "unknown";
    assert.equal(ConnectError.from(reason).code, Code.Unavailable);
    return "refused";
  }
}

/** What a room had after its last reset, or from where it was joined. */
function sinceReset(texts: readonly string[]): readonly string[] {
  return texts.slice(texts.lastIndexOf("reset") + 1);
}

/** One run: workers come, stop, die; all the while there are publications. @param dies whether some die */
async function run(seed: number, dies: boolean): Promise<void> {
  const random = randomOf(seed);
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T; // It is not empty.
  const program = new Program();
  await program.start();
  await program.start();
  const published: Promise<{ room: string; id: string; outcome: Outcome }>[] = [];
  let crashes = 0;
  for (let number = 0; number < 60; number++) {
    const { nodes } = program;
    const chance = random();
    if (chance < 0.08 && nodes.length < 5) await program.start();
    else if (chance < 0.16 && nodes.length > 1) {
      const leaver = pick(nodes);
      nodes.splice(nodes.indexOf(leaver), 1);
      const closing = leaver.bus.close();
      if (random() < 0.5) await program.during(closing);
    } else if (dies && chance < 0.2 && nodes.length > 1) {
      const dead = pick(nodes);
      nodes.splice(nodes.indexOf(dead), 1);
      dead.worker.die();
      dead.dead.resolve("unknown");
      crashes++;
    } else {
      const node = pick(nodes);
      const room = pick(rooms);
      const id = `${number}`;
      const publishing = Promise.race([publish(node, room, id, true), node.dead.promise]);
      published.push(publishing.then((outcome) => ({ room, id, outcome })));
    }
    await program.step(Math.floor(random() * 12));
  }
  await program.settle();
  const outcomes = await program.during(Promise.all(published));
  const before = program.problems;
  assert.deepEqual(before, [], `seed ${seed}`);
  for (const room of rooms) {
    const said = new Set(outcomes.filter((one) => one.room === room).map(({ id }) => id));
    const [first, ...others] = program.nodes;
    const views = [first, ...others].map((node) => node?.told.get(room) ?? []);
    for (const texts of views) {
      const kept = texts.filter((text) => text !== "reset");
      assert.equal(new Set(kept).size, kept.length, `seed ${seed}: ${room} twice: ${texts.join()}`);
      for (const text of kept) assert.ok(said.has(text), `seed ${seed}: ${room} ${text} was never published`);
      if (!dies) assert.ok(!texts.includes("reset"), `seed ${seed}: ${room} was reset without a death`);
    }
    // What they have got since their resets is the same at its end.
    const ends = views.map(sinceReset);
    const shortest = Math.min(...ends.map(({ length }) => length));
    const tails = ends.map((texts) => texts.slice(texts.length - shortest).join());
    assert.equal(new Set(tails).size, 1, `seed ${seed}: ${room}: ${tails.join(" | ")}`);
  }
  if (!dies)
    assert.ok(
      outcomes.every(({ outcome }) => outcome === "published"),
      `seed ${seed}: none is lost`,
    );
  assert.ok(crashes >= 0);
  const last = program.nodes.at(0);
  if (last === undefined) return;
  for (const room of rooms) {
    // It goes on, for all.
    assert.equal(await program.during(publish(last, room, `last ${room}`, true)), "published");
    await program.settle(100);
    for (const { told } of program.nodes)
      assert.equal(told.get(room)?.at(-1), `last ${room}`, `seed ${seed}`);
  }
}

test("workers that come and stop: each publication is told once, in one order, and no room is reset", async () => {
  for (let seed = 1; seed <= 10; seed++) await run(seed, false);
});

test("workers that die: members are reset, or have got everything; rooms go on", async () => {
  for (let seed = 1; seed <= 10; seed++) await run(seed, true);
});
