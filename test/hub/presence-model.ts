import assert from "node:assert/strict";
import { create, type MessageShape } from "@bufbuild/protobuf";
import { type Any, anyUnpack, timestampMs } from "@bufbuild/protobuf/wkt";
import { type PresenceEvent, PresenceKind } from "../../gen/ts_ms/hub/v1/events_pb.ts";
import { LiveService, PersonInfoSchema, WatchPeopleResponseSchema } from "../../gen/tsms/test/v1/live_pb.ts";
import type { Bus, BusNode } from "../../src/hub/bus/bus.ts";
import { MemoryStore, memoryBus } from "../../src/hub/bus/memory-bus.ts";
import type { PresenceSnapshot } from "../../src/hub/presence/presence-events.ts";
import { Hub } from "../../src/hub/hub.ts";
import { madeCall } from "../support/made-call.ts";
import { seeded, VirtualClock } from "../support/virtual-clock.ts";

const leaveDelayMs = 5_000;
const batchMs = 500;
const nodeTtlMs = 8_000;

/** Who is there, as a client has added it up: the connections and the mood of each. */
type Seen = Map<string, string>;

/** A call in a room, and what it was told. */
interface Client {
  readonly node: Node;
  readonly room: string;
  readonly who: string;
  readonly call: ReturnType<typeof madeCall>;
  readonly reader: AsyncIterator<MessageShape<typeof WatchPeopleResponseSchema>>;
  readonly seen: Seen;
  isAmidList: boolean;
  hasList: boolean;
  isCrowded: boolean;
  isReading: boolean;
  /** When it began to wait. */
  askedMs: number;
  isOver: boolean;
  /** Whether the hub has ended it. */
  isClosed: boolean;
}

/** A node of the run, whose frames can be lost. */
interface Node {
  readonly hub: Hub;
  readonly topic: ReturnType<typeof topicOf>;
  readonly net: { isDead: boolean; loses: boolean };
}

function topicOf(hub: Hub, maxMembers: number) {
  return hub.topic("people", WatchPeopleResponseSchema, {
    presence: { leaveDelayMs, batchMs, maxMembers, updatesPerSecond: 1_000 },
  });
}

/** Calls that join, leave, are closed, change what is seen of them and die with their node, beside a list of all of them. */
class Run {
  readonly #random: () => number;
  readonly #clock = new VirtualClock(1_000);
  readonly #store = new MemoryStore();
  readonly #nodes: Node[] = [];
  readonly #clients: Client[] = [];
  /** When a user was last in a room for sure, and what was said of him. */
  readonly #lastThereMs = new Map<string, number>();
  readonly #moods = new Map<string, string>();
  readonly #maxMembers: number;
  #hasLost = false;
  #failure: unknown;
  #moodsMade = 0;

  constructor(seed: number) {
    this.#random = seeded(seed);
    this.#maxMembers = this.#random() < 0.3 ? 3 : 1_000;
    const count = 1 + Math.floor(this.#random() * 3);
    for (let i = 0; i < count; i++) this.#start();
  }

  async play(steps: number): Promise<void> {
    const actions: readonly (() => void | Promise<void>)[] = [
      () => this.#join(),
      () => this.#join(),
      () => this.#leave(),
      () => this.#leave(),
      () => this.#reload(),
      () => this.#close(),
      () => this.#setMood(),
      () => this.#read(),
      () => this.#read(),
      () => this.#lose(),
      () => (this.#random() < 0.15 ? this.#kill() : undefined),
    ];
    await this.#pass(100);
    for (let i = 0; i < steps; i++) {
      await this.#pick(actions)?.();
      await this.#pass(this.#random() < 0.15 ? this.#random() * 6_000 : this.#random() * 700);
    }
    for (const { net } of this.#nodes) net.loses = false;
    await this.#pass(2 * nodeTtlMs + leaveDelayMs + 3 * batchMs);
    await this.#check();
    for (const client of this.#clients) this.#end(client);
    await this.#pass(2 * nodeTtlMs + leaveDelayMs + 3 * batchMs);
    for (const { topic } of this.#live())
      assert.deepEqual(await topic.presence("a"), { members: [], users: 0, connections: 0 });
  }

  #start(): void {
    const net = { isDead: false, loses: false };
    const bus = lossyBus(memoryBus(this.#store), net, () => {
      if (net.loses && this.#random() < 0.5) this.#hasLost = true;
      else return false;
      return true;
    });
    const clock = this.#clock;
    const hub = new Hub(
      { bus, nodeTtlMs, maxPerUser: 0, joinsPerSecond: 0 },
      { clock, wallMs: () => Math.floor(clock.nowMs()) },
    );
    const node = { hub, topic: topicOf(hub, this.#maxMembers), net };
    hub.attach().started();
    this.#nodes.push(node);
  }

  async #join(
    node = this.#pick(this.#live()),
    room = this.#pick(["a", "b"]) ?? "a",
    who = this.#who(),
  ): Promise<void> {
    if (node === undefined || this.#clients.filter(({ isOver }) => !isOver).length >= 12) return;
    const principal = who === "" ? {} : { principal: { id: who } };
    const call = madeCall({ method: LiveService.method.watchPeople, door: "sse", ...principal });
    await node.hub.attach().gate.admit(call);
    const reader = node.topic.join(room, call.context)[Symbol.asyncIterator]();
    const own = who === "" ? String(call.context.connection && idOf(call.context.connection)) : who;
    const client: Client = {
      ...{ node, room, who: own, call, reader, seen: new Map<string, string>() },
      ...{ isAmidList: false, hasList: false, isCrowded: false },
      ...{ isReading: false, askedMs: 0, isOver: false, isClosed: false },
    };
    this.#clients.push(client);
    this.#next(client);
  }

  #leave(): void {
    const client = this.#pick(this.#open());
    if (client !== undefined) this.#end(client);
  }

  /** Comes back at any node before it would have left. */
  async #reload(): Promise<void> {
    const client = this.#pick(this.#open());
    if (client === undefined || client.who.includes("-")) return;
    this.#end(client);
    await this.#pass(this.#random() * 3_000);
    await this.#join(this.#pick(this.#live()), client.room, client.who);
  }

  async #close(): Promise<void> {
    const client = this.#pick(this.#open());
    if (client === undefined || this.#random() < 0.5) return;
    const closing = client.node.hub.close({ users: [client.who] });
    await this.#pass(1);
    for (const other of this.#open()) {
      if (other.call.context.reason === undefined) continue;
      other.isClosed = true;
      this.#lastThereMs.delete(`${other.room} ${other.who}`);
      this.#end(other, false);
    }
    await this.#pass(1_000); // As long as answers of other nodes are waited for.
    await closing;
  }

  async #setMood(): Promise<void> {
    const client = this.#pick(this.#open());
    const asked = this.#pick(this.#live());
    if (client === undefined || asked === undefined) return;
    const { connection } = client.call.context;
    const mood = `m${++this.#moodsMade}`;
    const info = create(PersonInfoSchema, { mood });
    const isSet = asked.topic.setInfo(idOf(connection), client.room, info).then(
      () => true,
      () => false,
    );
    await this.#pass(1_100); // As long as an answer is waited for.
    if (await isSet) this.#moods.set(`${client.room} ${client.who}`, mood);
    else assert.ok(this.#hasLost || client.isOver, "only where frames are lost the other node is not found");
  }

  #lose(): void {
    const node = this.#pick(this.#live());
    if (node !== undefined && this.#random() < 0.3) node.net.loses = !node.net.loses;
  }

  /** A process dies: its calls are no more, and none of its frames comes. */
  #kill(): void {
    const live = this.#live();
    const node = this.#pick(live);
    if (node === undefined || live.length === 1) return;
    node.net.isDead = true;
    for (const client of this.#open()) if (client.node === node) this.#gone(client);
    if (this.#random() < 0.7) this.#start();
  }

  #end(client: Client, isThere = true): void {
    if (client.isOver) return;
    this.#gone(client, isThere);
    client.call.context.end();
  }

  #gone(client: Client, isThere = true): void {
    client.isOver = true;
    if (isThere) this.#lastThereMs.set(`${client.room} ${client.who}`, this.#clock.nowMs());
    const isLast = !this.#open().some(({ room, who }) => room === client.room && who === client.who);
    if (isLast && client.isClosed) this.#moods.delete(`${client.room} ${client.who}`);
  }

  #read(): void {
    const client = this.#pick(this.#open());
    if (client !== undefined && !client.isReading) this.#next(client);
  }

  #next(client: Client): void {
    client.isReading = true;
    client.askedMs = this.#clock.nowMs();
    client.reader.next().then(
      ({ done, value }) => {
        client.isReading = false;
        if (done === true || client.isOver || value.event.case !== "presence") return;
        try {
          this.#got(client, value.event.value);
        } catch (reason) {
          this.#failure ??= reason;
        }
      },
      (reason: unknown) => {
        this.#failure ??= reason;
      },
    );
  }

  /** Each event follows from those before it. */
  #got(client: Client, { kind, members, users, more }: PresenceEvent): void {
    const { seen, hasList } = client;
    if (kind === PresenceKind.SYNC) {
      if (!client.isAmidList) seen.clear();
      client.isAmidList = more;
      client.hasList = true;
      client.isCrowded = members.length === 0 && users > 0;
    } else {
      assert.ok(hasList && !client.isAmidList, "the list is first");
      if (members.length === 0) {
        client.isCrowded = true;
        seen.clear();
        assert.ok(users > this.#maxMembers, "counts alone are of crowds");
      }
    }
    for (const { user, connection, connections, info, joinedAt } of members) {
      const who = user === "" ? connection : user;
      const now = `${connections}${moodOf(info)} since ${joinedAt && timestampMs(joinedAt)}`;
      if (kind === PresenceKind.LEAVE) {
        assert.ok(seen.delete(who), `${who} has left and was not there`);
        this.#checkLeave(client, who);
      } else {
        assert.equal(seen.has(who), kind === PresenceKind.UPDATE, `${who}: ${kind}`);
        if (kind === PresenceKind.UPDATE) assert.notEqual(seen.get(who), now, "an update changes something");
        seen.set(who, now);
      }
    }
  }

  /** Who leaves was not there for the delay, unless the hub has closed it; of lost frames nothing is known. */
  #checkLeave({ room, askedMs }: Client, who: string): void {
    if (this.#hasLost || askedMs === this.#clock.nowMs()) return; // It may be late to read this.
    const isThere = this.#open().some((other) => other.room === room && other.who === who);
    const lastMs = this.#lastThereMs.get(`${room} ${who}`);
    if (isThere || lastMs === undefined) return; // He may have come since the batch, or was closed.
    assert.ok(this.#clock.nowMs() - lastMs >= leaveDelayMs, `${who} has left too early`);
  }

  /** In quiet all nodes and all who watch see who is there. */
  async #check(): Promise<void> {
    for (const client of this.#open()) await this.#drain(client);
    if (this.#failure !== undefined) throw new Error("a client", { cause: this.#failure });
    for (const room of ["a", "b"]) {
      const there = this.#open().filter((client) => client.room === room);
      const counts = new Map<string, number>();
      for (const { who } of there) counts.set(who, (counts.get(who) ?? 0) + 1);
      const isCrowded = counts.size > this.#maxMembers;
      const views = await Promise.all(this.#live().map(({ topic }) => topic.presence(room)));
      for (const view of views) {
        assert.deepEqual([view.users, view.connections], [counts.size, there.length], "counts");
        const found = view.members.map(({ user, connection, connections }) => [
          user ?? connection,
          connections,
        ]);
        assert.deepEqual(sorted(found), isCrowded ? [] : sorted([...counts]));
        assert.deepEqual(seenOf(view.members), seenOf(views[0]?.members ?? []), "the same at each node");
      }
      for (const { seen, isCrowded: isSeenCrowded } of there) {
        assert.equal(isSeenCrowded, isCrowded);
        assert.deepEqual(sorted([...seen]), seenOf(views[0]?.members ?? []), "what was told adds up");
      }
      if (!this.#hasLost) this.#checkMoods(room, views[0]?.members ?? []);
    }
  }

  #checkMoods(room: string, members: Parameters<typeof seenOf>[0]): void {
    for (const { user, info } of members) {
      const said = this.#moods.get(`${room} ${user}`);
      if (said !== undefined && moodOf(info) !== "")
        assert.equal(moodOf(info), `=${said}`, "the newest mood");
    }
  }

  async #drain(client: Client): Promise<void> {
    for (let i = 0; i < 1_000 && !client.isReading; i++) {
      this.#next(client);
      await this.#pass(0);
    }
  }

  async #pass(ms: number): Promise<void> {
    await this.#clock.pass(ms);
    if (this.#failure !== undefined) throw new Error("a client", { cause: this.#failure });
  }

  #live(): readonly Node[] {
    return this.#nodes.filter(({ net }) => !net.isDead);
  }

  #open(): readonly Client[] {
    return this.#clients.filter(({ isOver }) => !isOver);
  }

  /** A user, or the empty text for none. */
  #who(): string {
    return this.#pick(["ada", "bob", "eve", "kim", ""]) ?? "";
  }

  #pick<T>(values: readonly T[]): T | undefined {
    return values[Math.floor(this.#random() * values.length)];
  }
}

/** @param isLost whether a frame that is said now gets lost */
function lossyBus(bus: Bus, net: { readonly isDead: boolean }, isLost: () => boolean): Bus {
  const start = bus.start.bind(bus);
  const cast = bus.cast.bind(bus);
  return Object.assign(bus, {
    start: (node: BusNode) =>
      start({
        ...node,
        published: node.published.bind(node),
        begun: node.begun.bind(node),
        frame: (bytes: Uint8Array) => {
          if (!net.isDead) node.frame(bytes);
        },
      }),
    async cast(to: string, frame: Uint8Array) {
      if (!net.isDead && !isLost()) await cast(to, frame);
    },
  });
}

function idOf(connection: object | undefined): string {
  return (connection as { readonly id: string }).id; // An entry of the hub.
}

function moodOf(info: Any | undefined): string {
  return info === undefined ? "" : `=${anyUnpack(info, PersonInfoSchema)?.mood}`;
}

function seenOf(members: PresenceSnapshot["members"]) {
  return sorted(
    members.map(({ user, connection, connections, info, joinedAt }) => [
      user ?? connection,
      `${connections}${moodOf(info)} since ${joinedAt.getTime()}`,
    ]),
  );
}

function sorted<T>(values: readonly T[]): T[] {
  return values.toSorted((one, other) => (String(one) < String(other) ? -1 : 1));
}

/** Plays runs with these seeds. Rejects with the seed of the run that went wrong. */
export async function playPresence(first: number, last: number): Promise<void> {
  for (let seed = first; seed <= last; seed++) {
    try {
      await new Run(seed).play(40);
    } catch (reason) {
      throw new Error(`seed ${seed}`, { cause: reason });
    }
  }
}
