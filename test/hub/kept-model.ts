import assert from "node:assert/strict";
import type { MessageShape } from "@bufbuild/protobuf";
import { FollowStateResponseSchema, LiveService } from "../../gen/tsms/test/v1/live_pb.ts";
import { MemoryStore, memoryBus } from "../../src/hub/bus/memory-bus.ts";
import { Hub } from "../../src/hub/hub.ts";
import { parsePosition } from "../../src/hub/room/position.ts";
import { madeCall } from "../support/made-call.ts";
import { seeded, VirtualClock } from "../support/virtual-clock.ts";

type Reply = MessageShape<typeof FollowStateResponseSchema>;

/** A publication as the naive model keeps it: all of them, for ever. */
interface Logged {
  readonly text: string;
  readonly offset: number;
  readonly atMs: number;
  readonly isForBob: boolean;
}

/** A room of the model: what was published in each of its epochs. */
interface Log {
  readonly epochs: string[];
  readonly kept: Map<string, Logged[]>;
}

/** A client, and what has come to it. */
interface Client {
  readonly room: string;
  readonly user: string;
  readonly call: ReturnType<typeof madeCall>;
  readonly reader: AsyncIterator<Reply>;
  /** Where it stands by what it has got. */
  epoch: string;
  offset: number;
  isReading: boolean;
  hasEnded: boolean;
}

const historySize = 8;
const ttlMs = 5_000;
const replayMax = 6;

async function settle(): Promise<void> {
  for (let i = 0; i < 25; i++) await Promise.resolve();
}

/** Two nodes of one hub, whose members come back by positions, beside a naive model that keeps everything. */
class Run {
  readonly #random: () => number;
  readonly #clock = new VirtualClock();
  readonly #nodes;
  readonly #logs = new Map<string, Log>();
  readonly #clients: Client[] = [];
  /** Positions that clients have kept, by room. */
  readonly #positions: { readonly room: string; readonly position: string }[] = [];
  #texts = 0;
  #failure: unknown;

  constructor(seed: number) {
    this.#random = seeded(seed);
    const store = new MemoryStore();
    this.#nodes = [0, 1].map(() => {
      const options = { bus: memoryBus(store), maxPerUser: 0, joinsPerSecond: 0, roomLingerMs: 1_000 };
      const hub = new Hub(options, { clock: this.#clock });
      const topic = hub.topic("model", FollowStateResponseSchema, {
        history: { size: historySize, ttlMs },
        ring: { size: historySize },
        replayMax,
      });
      return { hub, topic };
    });
  }

  async play(steps: number): Promise<void> {
    const actions: readonly (() => void | Promise<void>)[] = [
      () => this.#join(),
      () => this.#leave(),
      () => this.#read(),
      () => this.#read(),
      () => this.#read(),
      () => this.#publish(),
      () => this.#publish(),
      () => this.#publish(),
      () => (this.#random() < 0.1 ? this.#clear() : undefined),
    ];
    for (let i = 0; i < steps; i++) {
      await this.#pick(actions)?.();
      await settle();
      if (this.#failure !== undefined) throw new Error("a client", { cause: this.#failure });
      if (this.#random() < 0.1) this.#clock.advance(this.#random() * 3_000);
    }
    for (const client of this.#clients) {
      await this.#drain(client);
      if (this.#failure !== undefined) throw new Error("a client", { cause: this.#failure });
    }
    for (const { call } of this.#clients) call.context.end();
    await settle();
    for (const { hub } of this.#nodes) {
      const { rooms, members, activeConnections } = await hub.statistics();
      assert.deepEqual({ rooms, members, activeConnections }, { rooms: 0, members: 0, activeConnections: 0 });
    }
    this.#clock.advance(3_000);
    for (const { hub } of this.#nodes) assert.equal((await hub.statistics()).ringBytes, 0);
  }

  #log(room: string): Log {
    const log = this.#logs.get(room) ?? { epochs: [], kept: new Map<string, Logged[]>() };
    this.#logs.set(room, log);
    return log;
  }

  async #publish(): Promise<void> {
    const room = this.#pick(["a", "b"]) ?? "a";
    const text = String(++this.#texts);
    const isForBob = this.#random() < 0.2;
    const options = isForBob ? { to: { users: ["bob"] } } : {};
    const { topic } = this.#node();
    const { epoch } = this.#known(room, await topic.position(room));
    const entries = this.#log(room).kept.get(epoch) ?? [];
    const offset = entries.length + 1;
    entries.push({ text, offset, atMs: this.#clock.nowMs(), isForBob });
    this.#log(room).kept.set(epoch, entries);
    const { position } = await topic.publish(room, { event: { case: "text", value: text } }, options);
    assert.equal(position, `${epoch}.${offset}`, "numbers without holes");
  }

  async #clear(): Promise<void> {
    const room = this.#pick(["a", "b"]) ?? "a";
    const { topic } = this.#node();
    await topic.clear(room);
    this.#known(room, await topic.position(room));
  }

  async #join(): Promise<void> {
    if (this.#clients.filter(({ hasEnded }) => !hasEnded).length >= 10) return;
    const user = this.#pick(["ada", "bob"]) ?? "ada";
    const kept = this.#random() < 0.7 ? this.#pick(this.#positions) : undefined;
    const room = kept?.room ?? this.#pick(["a", "b"]) ?? "a";
    const { hub, topic } = this.#node();
    const call = madeCall({
      method: LiveService.method.followState,
      door: "sse",
      principal: { id: user },
      ...(kept !== undefined && { headers: { "last-event-id": kept.position } }),
    });
    await hub.gate.admit(call);
    const reader = topic.join(room, call.context)[Symbol.asyncIterator]();
    const client: Client = {
      room,
      user,
      call,
      reader,
      epoch: "",
      offset: 0,
      isReading: false,
      hasEnded: false,
    };
    const expected = this.#expected(room, kept?.position);
    this.#next(client);
    await settle();
    const position = call.context.responseHeader.get("ts-ms-position") ?? "";
    const resume = call.context.responseHeader.get("ts-ms-resume") ?? "";
    assert.ok(expected.includes(resume), `${resume}, not ${expected.join(" or ")}`);
    if (resume === "recovered") assert.equal(position, kept?.position);
    if (client.epoch === "") ({ epoch: client.epoch, offset: client.offset } = this.#known(room, position));
    this.#clients.push(client);
  }

  /** How a call may begin that has a position: what is too old for the history may still be in the ring of a node. */
  #expected(room: string, position: string | undefined): readonly string[] {
    if (position === undefined) return ["fresh"];
    const at = parsePosition(position);
    const log = this.#log(room);
    if (at === undefined || at.epoch !== log.epochs.at(-1)) return ["reset"];
    const behind = (log.kept.get(at.epoch) ?? []).slice(at.offset);
    if (behind.length > replayMax) return ["reset"];
    const isKept = behind.every(({ atMs }) => atMs + ttlMs > this.#clock.nowMs());
    return isKept ? ["recovered"] : ["recovered", "reset"];
  }

  #leave(): void {
    const client = this.#pick(this.#clients);
    if (client === undefined || client.hasEnded || this.#random() < 0.4) return;
    client.hasEnded = true;
    this.#positions.push({ room: client.room, position: `${client.epoch}.${client.offset}` });
    client.call.context.end();
  }

  #read(): void {
    const client = this.#pick(this.#clients);
    if (client !== undefined && !client.isReading && !client.hasEnded) this.#next(client);
  }

  #next(client: Client): void {
    client.isReading = true;
    client.reader.next().then(
      ({ done, value }) => {
        client.isReading = false;
        if (done === true || client.hasEnded) return;
        try {
          this.#got(client, value);
        } catch (reason) {
          this.#failure ??= reason;
        }
      },
      (reason: unknown) => {
        this.#failure ??= reason;
      },
    );
  }

  /** What has come is the next that is due for the client. */
  #got(client: Client, { id, event }: Reply): void {
    const { epoch, offset } = this.#known(client.room, id);
    if (event.case === "reset") {
      if (client.epoch === epoch && event.value.missed > 0n) {
        const missed = Number(event.value.missed);
        assert.ok(
          missed >= this.#due(client, offset).length && missed <= offset - client.offset,
          "the exact number",
        );
      }
    } else {
      if (client.epoch === "") return this.#reached(client, epoch, offset);
      assert.equal(epoch, client.epoch, "another epoch begins with a reset");
      assert.deepEqual(
        this.#due(client, offset).map(({ text }) => text),
        [event.value],
        "the next one, and none is left out",
      );
    }
    this.#reached(client, epoch, offset);
  }

  #reached(client: Client, epoch: string, offset: number): void {
    client.epoch = epoch;
    client.offset = offset;
  }

  /** What is due for a client up to an offset. */
  #due({ room, epoch, offset, user }: Client, until: number): readonly Logged[] {
    const entries = this.#log(room).kept.get(epoch) ?? [];
    return entries.slice(offset, until).filter(({ isForBob }) => !isForBob || user === "bob");
  }

  async #drain(client: Client): Promise<void> {
    for (let i = 0; i < 100 && !client.isReading && !client.hasEnded; i++) {
      this.#next(client);
      await settle();
    }
    if (client.hasEnded) return;
    assert.equal(
      client.epoch,
      this.#log(client.room).epochs.at(-1) ?? client.epoch,
      "it is in the last epoch",
    );
    assert.deepEqual(this.#due(client, Number.POSITIVE_INFINITY), [], "and nothing is missing");
  }

  #known(room: string, position: string): { readonly epoch: string; readonly offset: number } {
    const parsed = parsePosition(position);
    assert.ok(parsed, position);
    const { epochs } = this.#log(room);
    if (!epochs.includes(parsed.epoch)) epochs.push(parsed.epoch);
    return parsed;
  }

  #node() {
    const node = this.#pick(this.#nodes);
    assert.ok(node);
    return node;
  }

  #pick<T>(values: readonly T[]): T | undefined {
    return values[Math.floor(this.#random() * values.length)];
  }
}

/** Plays runs with these seeds. Rejects with the seed of the run that went wrong. */
export async function playKept(first: number, last: number): Promise<void> {
  for (let seed = first; seed <= last; seed++) {
    try {
      await new Run(seed).play(80);
    } catch (reason) {
      throw new Error(`seed ${seed}`, { cause: reason });
    }
  }
}
