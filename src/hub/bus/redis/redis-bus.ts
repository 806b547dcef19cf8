import { checkPeer } from "../../../core/config/optional-peer.ts";
import { Code, ConnectError } from "../../../core/errors/errors.ts";
import { SetupError } from "../../../core/errors/setup-error.ts";
import {
  type LineOwner,
  type LineReply,
  openLine,
  openLineLike,
  type RedisClientLike,
  type RedisLine,
} from "../../../core/redis/line.ts";
import { redisDefaults, type RedisOptions, toRedisOptions } from "../../../core/redis/redis-options.ts";
import type { RedisScript } from "../../../core/redis/script.ts";
import { parsePosition, formatPosition, type Position, randomName } from "../../room/position.ts";
import type { RoomEntry } from "../../room/publication.ts";
import type {
  Bus,
  BusNode,
  BusOperation,
  BusPage,
  BusPublication,
  BusReceipt,
  HistoryBounds,
  RoomSeen,
} from "../bus.ts";
import { measured } from "../measured.ts";
import { unknownOutcome } from "../unknown-outcome.ts";
import { KeptLine } from "./kept-line.ts";
import { OwnPublications } from "../own-publications.ts";
import { type PublishTogether, PublishingTurns } from "./publishing-turns.ts";
import { clearScript, publishScript, readScript, scripts, topsScript } from "./scripts.ts";
import { SeenRooms } from "./seen-rooms.ts";
import type { SubscribedRoom } from "../subscribed-room.ts";
import { Subscriptions } from "./subscriptions.ts";

const usualPrefix = "ts-ms:hub:";
/** The largest message, in bytes. */
const maxMessageBytes = 16 * 1024 ** 2;
/** How long the number of a room outlives its last publication, at least, in milliseconds. */
const shortestMs = 3_600_000;
/** How long a cursor is kept that is not moved, where nothing else is said. */
const cursorMs = 30 * 24 * 3_600_000;
/** How long a receipt waits for the members of this node behind the answer of Redis. */
const echoMs = 500;
const roomsAtOnce = 256;

/** Where the Redis of a bus is. */
export interface RedisBusOptions extends RedisOptions {
  /**
   * A client of `@redis/client` in place of `url`: the bus makes two connections of its own with its settings, and uses
   * neither it nor its connection. Default: none.
   */
  readonly client: RedisClientLike | undefined;
}

/**
 * A bus by Redis 6.2 and later: it keeps the history of rooms in streams, and tells nodes by channels.
 *
 * @param options where it is; Sentinels are not supported
 * @throws SetupError for options that cannot be used, and without the package `@redis/client`
 */
export function redisBus({ client, ...options }: Partial<RedisBusOptions>): Bus {
  checkPeer("@redis/client", "redisBus");
  if (client !== undefined) {
    const { prefix = usualPrefix, connectTimeoutMs = redisDefaults.connectTimeoutMs, ...others } = options;
    const [other] = Object.keys(others);
    if (other !== undefined) throw new SetupError(`redisBus: client has its own settings: not with ${other}`);
    if (typeof client.duplicate !== "function")
      throw new SetupError("redisBus: client must be one of @redis/client, which createClient makes");
    return new RedisBus({ prefix, connectTimeoutMs, open: (owner) => openLineLike(client, owner) });
  }
  const checked = toRedisOptions({ prefix: usualPrefix, ...options });
  if (checked.master !== undefined) throw new SetupError("redisBus: needs url; sentinels are not supported");
  const { prefix, connectTimeoutMs } = checked;
  return new RedisBus({ prefix, connectTimeoutMs, open: (owner) => openLine(checked, owner) });
}

/** How a bus reaches its Redis. */
interface RedisBusInit extends Pick<RedisOptions, "prefix" | "connectTimeoutMs"> {
  readonly open: (owner: LineOwner) => Promise<RedisLine>;
}

class RedisBus implements Bus {
  readonly name = "redis";
  readonly maxMessageBytes = maxMessageBytes;
  readonly isShared = true;
  readonly ignoresSignal = true;
  readonly #options: RedisBusInit;
  readonly #own = new OwnPublications();
  readonly #seen = new SeenRooms();
  readonly #turns = new PublishingTurns((all) => this.#publishAll(all));
  #subscriptions: Subscriptions | undefined;
  #commands: KeptLine | undefined;
  #node: BusNode | undefined;
  #isUp = false;
  /** Resolves the start. */
  #up: (() => void) | undefined;
  #starting: Promise<void> | undefined;
  #base = "";

  constructor(options: RedisBusInit) {
    this.#options = options;
  }

  async start(node: BusNode): Promise<void> {
    if (this.#commands !== undefined) {
      throw new SetupError("Hub: the option bus is the bus of another hub already");
    }
    this.#node = node;
    this.#base = `${this.#options.prefix}${node.name}:`;
    this.#isUp = true;
    this.#turn(false);
    this.#commands = new KeptLine({
      clock: node.clock,
      open: (lost) => this.#timed("connect", () => this.#options.open({ message: () => {}, lost })),
      prepare: async (line) => {
        await Promise.all(scripts.map(({ text }) => line.send(["SCRIPT", "LOAD", text])));
      },
      changed: () => this.#changed(),
    });
    this.#subscriptions = new Subscriptions({
      node,
      base: this.#base,
      open: this.#options.open,
      commands: this.#commands,
      heard: (room, head, record) => this.#heard(room, head, record),
      read: (room, after, limit) => this.read(room, after, limit),
      check: () => this.#check(),
      changed: () => this.#changed(),
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#up = resolve;
    const cancel = node.clock.after(this.#options.connectTimeoutMs, resolve, false);
    this.#commands.start();
    this.#starting = promise;
    await promise; // A bus that is away is made good in the background.
    cancel();
  }

  async close(): Promise<void> {
    this.#subscriptions?.close();
    this.#commands?.close();
    this.#subscriptions = this.#commands = undefined;
    this.#up?.();
  }

  async publish(said: BusPublication): Promise<BusReceipt> {
    const { room, publication, history } = said;
    const node = this.#started();
    const { number, delivered } = this.#own.add(publication);
    const { buffer, byteOffset, byteLength } = node.form.write(topicOf(room), publication, number);
    const record = Buffer.from(buffer, byteOffset, byteLength);
    let receipt: BusReceipt;
    try {
      receipt = await this.#timed("publish", async () => {
        if (history !== undefined) return this.#keep(said, history, record, number);
        const live = this.#subscriptions?.nextLive(room) ?? 0;
        const head = `l ${node.id} ${number} ${live}\n`;
        this.#turns.flush();
        await this.#line().send(["PUBLISH", this.#channel(room), Buffer.concat([Buffer.from(head), record])]);
        return { position: undefined, duplicate: false };
      });
    } catch (reason) {
      this.#own.take(number);
      throw isAnswer(reason) ? unavailable(reason) : unknownOutcome(publication.id);
    }
    if (receipt.duplicate || this.#subscriptions?.has(room) !== true) this.#own.take(number);
    else await this.#echo(delivered);
    return receipt;
  }

  async subscribe(rooms: readonly string[]): Promise<void> {
    await this.#starting;
    const { subscriptions } = this.#parts();
    await this.#timed("subscribe", () => subscriptions.add(rooms));
  }

  async unsubscribe(rooms: readonly string[]): Promise<void> {
    this.#seen.forget(rooms);
    this.#subscriptions?.delete(rooms);
  }

  async read(room: string, after: Position | undefined, limit: number): Promise<BusPage> {
    const { epoch = "", offset = 0 } = after ?? {};
    const rest = [randomName(), epoch, String(offset), String(limit), String(shortestMs)];
    const reply = await this.#timed("read", () => this.#run(readScript, this.#keys(room), rest));
    const [e, t, o, complete, entries] = listOf(reply);
    const top = this.#seen.note(room, textOf(e), numberOf(t), numberOf(o));
    const found = listOf(entries).flatMap((item) => {
      const [id, fields] = listOf(item);
      const record = listOf(fields)[1];
      const position = { epoch: top.epoch, offset: Number(textOf(id).split("-", 1)[0]) };
      return Buffer.isBuffer(record) ? this.#entryOf(room, record, position) : [];
    });
    return { entries: found, top, complete: numberOf(complete) === 1 };
  }

  async tops(rooms: readonly RoomSeen[]): Promise<readonly Position[]> {
    const found: Position[] = [];
    for (let first = 0; first < rooms.length; first += roomsAtOnce) {
      const some = rooms.slice(first, first + roomsAtOnce);
      const keys = some.flatMap(({ room }) => this.#keys(room));
      const rest = some.flatMap(({ room, seen }) => [
        this.#channel(room),
        randomName(),
        ...this.#seen.said(room, seen),
      ]);
      const run = (): Promise<LineReply> => this.#run(topsScript, keys, [String(shortestMs), ...rest]);
      for (const [place, reply] of listOf(await this.#timed("tops", run)).entries()) {
        const [e, t, o] = listOf(reply);
        const { room = "" } = some[place] ?? {};
        const top = this.#seen.note(room, textOf(e), numberOf(t), numberOf(o));
        this.#subscriptions?.find(room)?.feed.opened(top);
        found.push(top);
      }
    }
    return found;
  }

  async cast(to: string, frame: Uint8Array): Promise<void> {
    await this.#timed("cast", () => this.#send(["PUBLISH", `${this.#base}n:${to}`, Buffer.from(frame)]));
  }

  async cursor(key: string, set?: Position, ttlMs = cursorMs): Promise<Position | undefined> {
    const name = `${this.#base}c:${key}`;
    const command =
      set === undefined ? ["GET", name] : ["SET", name, formatPosition(set), "PX", String(ttlMs)];
    const reply = await this.#timed("cursor", () => this.#send(command));
    return set ?? (reply === null ? undefined : parsePosition(textOf(reply)));
  }

  async clear(room: string): Promise<void> {
    this.#turns.flush();
    const rest = [this.#channel(room), randomName(), String(shortestMs)];
    await this.#timed("clear", () => this.#run(clearScript, this.#keys(room), rest));
  }

  /** Numbers, keeps and tells a publication. */
  async #keep(
    { room, publication: { id, bytes }, dedupeMs, unsureMs = dedupeMs }: BusPublication,
    history: HistoryBounds,
    record: Buffer,
    number: number,
  ): Promise<BusReceipt> {
    const reply = await this.#turns.add({ room, history, id, record, bytes, idMs: unsureMs, number });
    const [isNew, e, t, o] = listOf(reply);
    const position = { epoch: textOf(e), offset: numberOf(o) };
    if (numberOf(isNew) === 0) return { position, duplicate: true };
    return {
      position: this.#seen.note(room, position.epoch, numberOf(t), position.offset),
      duplicate: false,
    };
  }

  /** Publishes some that are kept of one room. */
  async #publishAll(all: Parameters<PublishTogether>[0]): Promise<readonly LineReply[]> {
    const [{ room, history }] = all;
    const { size, ttlMs, bytes } = history;
    const { id: node } = this.#started();
    const ofEach = all.flatMap(({ record, bytes: ownBytes, idMs, number }) => [
      ...[record, String(ownBytes), String(Math.ceil(idMs)), `${node} ${number}`],
    ]);
    const keys = [...this.#keys(room), ...all.map(({ id }) => `${this.#base}{${room}}:i:${id}`)];
    return listOf(
      await this.#run(publishScript, keys, [
        ...[this.#channel(room), randomName(), ...this.#seen.said(room)],
        ...[String(size), String(Math.ceil(ttlMs)), String(bytes)],
        String(Math.ceil(Math.max(10 * ttlMs, shortestMs))),
        ...ofEach,
      ]),
    );
  }

  /** Something has come by the channel of a room. */
  #heard(room: string, head: readonly string[], record: Buffer): void {
    const subscribed = this.#subscriptions?.find(room);
    if (subscribed === undefined) return;
    const { feed } = subscribed;
    const [kind, epoch = "", time, offset, fourth, fifth] = head;
    if (kind === "l") {
      const [, from = "", number, live] = head;
      if (!subscribed.isLiveNext(from, Number(live))) this.#lost(room, feed.last);
      const own = from === this.#node?.id ? this.#own.take(Number(number)) : undefined;
      for (const entry of this.#entryOf(room, record, undefined, own)) feed.told(entry, undefined);
      return;
    }
    const top = { epoch, offset: Number(offset) };
    if (kind === "b") {
      this.#seen.note(room, epoch, Number(time), top.offset);
      if (fourth === "CLEARED") {
        feed.begun(top);
        this.#node?.begun(room, top, "CLEARED");
      } else subscribed.catchUp();
    }
    if (kind !== "p") return;
    const own = fourth === this.#node?.id ? this.#own.take(Number(fifth)) : undefined;
    for (const entry of this.#entryOf(room, record, top, own)) {
      // A number that has come before with another publication: Redis has lost some.
      if (feed.last?.epoch === epoch && top.offset <= feed.last.offset && !subscribed.isKnown(entry)) {
        void this.#beginAnew(room, subscribed);
        return;
      }
      this.#seen.note(room, epoch, Number(time), top.offset);
      feed.told(entry, top.offset - 1);
    }
  }

  /** Redis is told what was seen of a room, and begins a new epoch of it, which is read then. Never rejects. */
  async #beginAnew(room: string, { feed, catchUp }: SubscribedRoom): Promise<void> {
    try {
      await this.tops([{ room, seen: feed.last }]);
      catchUp();
    } catch {
      // The bus is away: the room is read when it is back.
    }
  }

  /** Publications without positions are missing. */
  #lost(room: string, top: Position = { epoch: "", offset: 0 }): void {
    this.#node?.gap?.(room, "lost");
    this.#node?.begun(room, top, "BUS");
  }

  /** What is subscribed to is looked at: what has not come, and what Redis has lost. */
  async #check(): Promise<void> {
    const rooms = this.#subscriptions?.numbered ?? [];
    const tops = await this.tops(rooms.map(([room, { feed }]) => ({ room, seen: feed.last })));
    for (const [place, [, room]] of rooms.entries()) {
      const top = tops[place];
      if (top !== undefined) room.looked(top);
    }
  }

  /** The publication of a record as an entry; none for one that cannot be read. */
  #entryOf(
    room: string,
    record: Buffer,
    position: Position | undefined,
    own?: RoomEntry["publication"],
  ): readonly RoomEntry[] {
    const { form, clock, id } = this.#started();
    if (own !== undefined) {
      const untilMs = own.ttlMs === undefined ? undefined : clock.nowMs() + own.ttlMs;
      return [{ publication: own, position, untilMs }];
    }
    const read = form.read(topicOf(room), record);
    if (read === undefined) {
      this.#node?.did?.("frame", undefined);
      return [];
    }
    const publication = (read.node === id ? this.#own.take(read.number) : undefined) ?? read.publication;
    return [{ publication, position, untilMs: read.untilMs }];
  }

  /** Waits until the members of this node have a publication, but not long: its channel may be away. */
  async #echo(delivered: Promise<void>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#started().clock.after(echoMs, resolve, false);
    await Promise.race([delivered, promise]);
    cancel();
  }

  #changed(): void {
    const isUp = this.#commands?.line !== undefined && this.#subscriptions?.isUp === true;
    if (this.#commands?.line !== undefined) this.#subscriptions?.start();
    this.#turn(isUp);
  }

  #turn(isUp: boolean): void {
    if (isUp === this.#isUp) return;
    this.#isUp = isUp;
    this.#node?.busIs(isUp);
    if (isUp) this.#up?.();
  }

  /** Runs a script. Where Redis does not know it, after SCRIPT FLUSH, it is loaded again. */
  async #run(
    { sha, text }: RedisScript,
    keys: readonly string[],
    values: readonly (string | Buffer)[],
    line = this.#line(),
  ): Promise<LineReply> {
    const rest = [String(keys.length), ...keys, ...values];
    try {
      return await line.send(["EVALSHA", sha, ...rest]);
    } catch (reason) {
      if (!(reason instanceof Error) || !reason.message.startsWith("NOSCRIPT")) throw reason;
      return line.send(["EVAL", text, ...rest]);
    }
  }

  async #send(command: readonly (string | Buffer)[]): Promise<LineReply> {
    return this.#line().send(command);
  }

  /** Measures what is done. @throws ConnectError UNAVAILABLE */
  async #timed<T>(operation: BusOperation, work: () => Promise<T>): Promise<T> {
    try {
      return await measured(this.#node, operation, work);
    } catch (reason) {
      throw operation === "publish" ? reason : unavailable(reason);
    }
  }

  /** @throws ConnectError UNAVAILABLE */
  #line(): RedisLine {
    const line = this.#commands?.line;
    if (line === undefined) throw new ConnectError("the bus of the hub cannot be reached", Code.Unavailable);
    return line;
  }

  #started(): BusNode {
    if (this.#node === undefined) throw new ConnectError("the hub has not started", Code.Unavailable);
    return this.#node;
  }

  #parts(): { readonly subscriptions: Subscriptions } {
    if (this.#subscriptions !== undefined) return { subscriptions: this.#subscriptions };
    throw new ConnectError("the hub has stopped", Code.Unavailable);
  }

  #keys(room: string): readonly [hash: string, stream: string] {
    return [`${this.#base}{${room}}:m`, `${this.#base}{${room}}:s`];
  }

  #channel(room: string): string {
    return `${this.#base}r:${room}`;
  }
}

/** Whether Redis has said so itself: then nothing is published. */
function isAnswer(reason: unknown): boolean {
  return reason instanceof ConnectError || (reason instanceof Error && /^[A-Z]+ /.test(reason.message));
}

function unavailable(cause: unknown): ConnectError {
  if (cause instanceof ConnectError) return cause;
  return new ConnectError(
    "the bus of the hub cannot be reached",
    Code.Unavailable,
    undefined,
    undefined,
    cause,
  );
}

function topicOf(room: string): string {
  const end = room.indexOf("/");
  return end === -1 ? room : room.slice(0, end);
}

function listOf(reply: LineReply | undefined): readonly LineReply[] {
  return Array.isArray(reply) ? (reply as readonly LineReply[]) : []; // `isArray` does not know lists that are read-only.
}

function textOf(reply: LineReply | undefined): string {
  return Buffer.isBuffer(reply) ? reply.toString() : String(reply ?? "");
}

function numberOf(reply: LineReply | undefined): number {
  return Number(textOf(reply));
}
