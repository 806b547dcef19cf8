import assert from "node:assert/strict";
import type { MessageShape } from "@bufbuild/protobuf";
import { LiveService, WatchRoomResponseSchema } from "../../gen/tsms/test/v1/live_pb.ts";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import { Hub } from "../../src/hub/hub.ts";
import type { PublishOptions, Receipt } from "../../src/hub/topic-options.ts";
import { madeCall } from "../support/made-call.ts";
import { seeded, VirtualClock } from "../support/virtual-clock.ts";

type Reply = MessageShape<typeof WatchRoomResponseSchema>;

/** A client of the run, and what the naive model says that it must have got. */
interface Client {
  readonly user: string;
  readonly call: ReturnType<typeof madeCall>;
  readonly rooms: readonly string[];
  readonly lang: string | undefined;
  readonly reader: AsyncIterator<Reply>;
  /** Texts by room; those that were sent to it alone are of the room ``. */
  readonly got: Map<string, string[]>;
  readonly due: Map<string, string[]>;
  /** How many publications each of its rooms had when it joined. */
  readonly from: ReadonlyMap<string, number>;
  isReading: boolean;
  failure: ConnectError | undefined;
  hasEnded: boolean;
}

const ringSize = 6;
const allRooms = ["a", "b", "c"];

/** Lets promises that are settled have their reactions. */
async function settle(): Promise<void> {
  for (let i = 0; i < 12; i++) await Promise.resolve();
}

/** Calls that join, read at their pace, publish and leave at random, beside a naive model that keeps everything. */
class Run {
  readonly #random: () => number;
  readonly #clock = new VirtualClock();
  readonly #hub = new Hub({ maxPerUser: 0, joinsPerSecond: 0 }, { clock: this.#clock });
  readonly #topic = this.#hub.topic("model", WatchRoomResponseSchema, {
    ring: { size: ringSize },
    overflow: "DISCONNECT",
    dedupeMs: 1_000,
  });
  readonly #clients: Client[] = [];
  /** Everything that was published in a room. */
  readonly #log = new Map<string, string[]>();
  /** Every id that was published, with its time and room. */
  readonly #ids = new Map<string, number>();
  #texts = 0;

  constructor(seed: number) {
    this.#random = seeded(seed);
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
      () => this.#send(),
    ];
    for (let i = 0; i < steps; i++) {
      await this.#pick(actions)?.();
      await settle();
      if (this.#random() < 0.1) this.#clock.advance(500);
    }
    for (const client of this.#clients) await this.#drain(client);
    for (const client of this.#clients) this.#check(client);
    for (const { call } of this.#clients) call.context.end();
    await settle();
    const { rooms, members, activeConnections } = await this.#hub.statistics();
    assert.deepEqual({ rooms, members, activeConnections }, { rooms: 0, members: 0, activeConnections: 0 });
  }

  async #join(): Promise<void> {
    if (this.#clients.length >= 12) return;
    const user = `u${Math.floor(this.#random() * 4)}`;
    const call = madeCall({ method: LiveService.method.watchRoom, door: "sse", principal: { id: user } });
    await this.#hub.attach().gate.admit(call);
    const rooms = allRooms.filter(() => this.#random() < 0.5);
    if (rooms.length === 0) rooms.push("a");
    const lang = this.#random() < 0.3 ? "de" : undefined;
    const options = lang === undefined ? {} : { filter: { header: "lang", is: lang } };
    const reader = this.#topic.join(rooms, call.context, options)[Symbol.asyncIterator]();
    const from = new Map(rooms.map((room) => [room, this.#log.get(room)?.length ?? 0] as const));
    const client: Client = {
      user,
      call,
      rooms,
      lang,
      reader,
      got: new Map(),
      due: new Map(),
      from,
      isReading: false,
      failure: undefined,
      hasEnded: false,
    };
    this.#clients.push(client);
    this.#next(client);
    await settle();
  }

  #leave(): void {
    const client = this.#pick(this.#clients);
    if (client === undefined || this.#random() < 0.5) return;
    client.hasEnded = true;
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
        if (done === true) return;
        const reply = value; // It is not done.
        const [room = "", text = ""] = reply.text.split(" ");
        add(client.got, room, text);
      },
      (reason: unknown) => {
        client.failure = ConnectError.from(reason);
        client.hasEnded = true;
      },
    );
  }

  async #drain(client: Client): Promise<void> {
    for (let i = 0; i < 200 && !client.isReading && !client.hasEnded; i++) {
      this.#next(client);
      await settle();
    }
  }

  async #publish(): Promise<void> {
    const room = this.#pick(allRooms) ?? "a";
    const options = this.#options();
    const id = this.#random() < 0.2 ? `id${Math.floor(this.#random() * 3)}` : undefined;
    const text = String(++this.#texts);
    const nowMs = this.#clock.nowMs();
    const known = id === undefined ? undefined : this.#ids.get(`${room}/${id}`);
    const duplicate = known !== undefined && nowMs < known + 1_000;
    const expected = duplicate ? [] : this.#live().filter(({ rooms }) => rooms.includes(room));
    const wanted = expected.filter((client) => isFor(client, options));
    const publishing = this.#topic.publish(
      room,
      { text: `${room} ${text}` },
      { ...options, ...(id && { id }) },
    );
    if (!duplicate && id !== undefined) this.#ids.set(`${room}/${id}`, nowMs);
    if (!duplicate) add(this.#log, room, text);
    for (const client of wanted) add(client.due, room, text);
    const receipt = await publishing;
    assert.equal(receipt.duplicate, duplicate);
    this.#checkReceipt(receipt, expected.length, wanted.length);
  }

  async #send(): Promise<void> {
    const options = this.#options();
    const user = `u${Math.floor(this.#random() * 4)}`;
    const text = String(++this.#texts);
    const expected = this.#live().filter((client) => client.user === user);
    const wanted = expected.filter((client) => isFor(client, options, false));
    for (const client of wanted) add(client.due, "", text);
    const receipt = await this.#topic.send({ users: [user] }, { text: ` ${text}` }, options);
    this.#checkReceipt(receipt, expected.length, wanted.length);
  }

  #checkReceipt(
    { members, sent, lagging, filtered, failed, dropped }: Receipt,
    all: number,
    wanted: number,
  ): void {
    assert.deepEqual(
      { members, filtered, taken: sent + lagging, failed, dropped },
      { members: all, filtered: all - wanted, taken: wanted, failed: 0, dropped: 0 },
    );
  }

  #options(): PublishOptions {
    const from = this.#pick(this.#live())?.call.context;
    return {
      ...(this.#random() < 0.5 && { headers: { lang: this.#random() < 0.5 ? "de" : "en" } }),
      ...(this.#random() < 0.2 && { to: { except: { users: ["u1"] } } }),
      ...(this.#random() < 0.2 && from !== undefined && { from, echo: false }),
    };
  }

  #live(): readonly Client[] {
    return this.#clients.filter(({ hasEnded }) => !hasEnded);
  }

  #check(client: Client): void {
    const { got, due, failure, rooms, hasEnded } = client;
    for (const [room, texts] of got) {
      assert.deepEqual(texts, due.get(room)?.slice(0, texts.length), "in order, none twice, none foreign");
    }
    if (failure !== undefined) {
      assert.equal(failure.code, Code.ResourceExhausted);
      const isBehind = rooms.some((room) => this.#behind(client, room) > ringSize);
      assert.ok(isBehind, "only who is behind its ring is ended");
    } else if (!hasEnded) {
      for (const [room, texts] of due) assert.deepEqual(got.get(room) ?? [], texts, "and none is missing");
    }
  }

  /** How many publications a room had since a client has read there, whether they were for it or not. */
  #behind({ got, from }: Client, room: string): number {
    const log = this.#log.get(room) ?? [];
    const last = got.get(room)?.at(-1);
    return log.length - (last === undefined ? (from.get(room) ?? 0) : log.indexOf(last) + 1);
  }

  #pick<T>(values: readonly T[]): T | undefined {
    return values[Math.floor(this.#random() * values.length)];
  }
}

function isFor({ user, lang, call }: Client, options: PublishOptions, byFilter = true): boolean {
  if (byFilter && lang !== undefined && options.headers?.["lang"] !== lang) return false;
  if (options.to !== undefined && user === "u1") return false;
  return !(options.echo === false && options.from === call.context);
}

function add(lists: Map<string, string[]>, key: string, text: string): void {
  lists.set(key, [...(lists.get(key) ?? []), text]);
}

/** Plays runs with these seeds. Rejects with the seed of the run that went wrong. */
export async function playRuns(first: number, last: number): Promise<void> {
  for (let seed = first; seed <= last; seed++) {
    try {
      await new Run(seed).play(60);
    } catch (reason) {
      throw new Error(`seed ${seed}`, { cause: reason });
    }
  }
}
