import type { LineOwner, RedisLine } from "../../../core/redis/line.ts";
import type { Position } from "../../room/position.ts";
import type { BusNode, BusPage } from "../bus.ts";
import { KeptLine } from "./kept-line.ts";
import { SubscribedRoom } from "../subscribed-room.ts";

/** With what rooms are subscribed to. */
export interface SubscriptionsInit {
  readonly node: BusNode;
  /** Begins every channel. */
  readonly base: string;
  readonly open: (owner: LineOwner) => Promise<RedisLine>;
  /** By which this asks whether its own connection lives. */
  readonly commands: KeptLine;
  /** Something has come by the channel of a room. @param head words of its first line */
  readonly heard: (room: string, head: readonly string[], record: Buffer) => void;
  readonly read: (room: string, after: Position | undefined, limit: number) => Promise<BusPage>;
  /** Looks for publications that have not come, in all rooms. */
  readonly check: () => Promise<void>;
  readonly changed: () => void;
}

/** The most channels of one command. */
const channelsAtOnce = 512;
const lineFeed = 10;
/** When it is looked again for what had not come, in milliseconds. */
const againMs = 1_000;
const probe = Buffer.from("probe");

/**
 * The channels of a node, on a connection of their own: those of its rooms, of frames for it, and of frames for all. What is
 * missed while the connection is made anew is read before it counts as up.
 */
export class Subscriptions {
  readonly #init: SubscriptionsInit;
  readonly #kept: KeptLine;
  readonly #rooms = new Map<string, SubscribedRoom>();
  /** Numbers of publications of this node without positions. */
  readonly #live = new Map<string, number>();
  /** Rooms that are subscribed to with the next command. */
  #next: { readonly rooms: string[]; readonly done: Promise<void> } | undefined;
  #isUp = false;
  #heardMs = 0;
  #cancel: (() => void) | undefined;
  #cancelCheck: (() => void) | undefined;

  constructor(init: SubscriptionsInit) {
    this.#init = init;
    const { node, open } = init;
    this.#kept = new KeptLine({
      clock: node.clock,
      open: (lost) => open({ message: (channel, message) => this.#message(channel, message), lost }),
      prepare: (line) => this.#prepare(line),
      changed: () => this.#changed(),
    });
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  has(room: string): boolean {
    return this.#rooms.has(room);
  }

  find(room: string): SubscribedRoom | undefined {
    return this.#rooms.get(room);
  }

  /** The rooms whose publications have positions, as far as these are known. */
  get numbered(): readonly (readonly [room: string, SubscribedRoom])[] {
    return [...this.#rooms].filter(([, { feed }]) => feed.last !== undefined);
  }

  /** Redis is there: the channels are subscribed to, at once where that waits for another attempt. */
  start(): void {
    this.#kept.start();
    this.#kept.retry();
  }

  close(): void {
    this.#cancel?.();
    this.#cancelCheck?.();
    this.#kept.close();
  }

  /** Resolves when everything that is published in these rooms comes. All of one turn go by one command. */
  add(rooms: readonly string[]): Promise<void> {
    if (this.#next === undefined) {
      const all: string[] = [];
      const done = Promise.resolve().then(() => {
        this.#next = undefined;
        return this.#add(all);
      });
      this.#next = { rooms: all, done };
    }
    this.#next.rooms.push(...rooms);
    return this.#next.done;
  }

  delete(rooms: readonly string[]): void {
    for (const room of rooms) this.#rooms.delete(room);
    const channels = rooms.map((room) => this.#channel(room));
    // A connection that is lost is made again without them.
    this.#kept.line?.unsubscribe(channels).catch(() => {});
  }

  /** The number of a publication of this node without a position. */
  nextLive(room: string): number {
    const number = (this.#live.get(room) ?? 0) + 1;
    this.#live.delete(room); // It goes to the end.
    this.#live.set(room, number);
    if (this.#live.size > 100_000)
      for (const oldest of this.#live.keys()) return this.#dropLive(oldest, number);
    return number;
  }

  #dropLive(room: string, number: number): number {
    this.#live.delete(room);
    return number;
  }

  async #add(rooms: readonly string[]): Promise<void> {
    const { line } = this.#kept;
    if (line === undefined) throw new Error("the connection for channels is lost");
    const { node, read } = this.#init;
    for (const room of rooms) {
      if (!this.#rooms.has(room)) this.#rooms.set(room, new SubscribedRoom(room, node, read));
    }
    const channels = rooms.map((room) => this.#channel(room));
    await this.#subscribe(line, channels);
  }

  async #subscribe(line: RedisLine, channels: readonly string[]): Promise<void> {
    for (let first = 0; first < channels.length; first += channelsAtOnce) {
      await line.subscribe(channels.slice(first, first + channelsAtOnce));
    }
  }

  async #prepare(line: RedisLine): Promise<void> {
    const { node, base, commands } = this.#init;
    if (commands.line === undefined) throw new Error("Redis is away");
    await this.#subscribe(line, [`${base}n:all`, `${base}n:${node.id}`]);
    await this.#subscribe(
      line,
      [...this.#rooms.keys()].map((room) => this.#channel(room)),
    );
    await this.#init.check();
    await Promise.all(this.numbered.map(([, room]) => room.feed.catchUp()));
    this.#heardMs = node.clock.nowMs();
  }

  #changed(): void {
    this.#isUp = this.#kept.line !== undefined;
    this.#cancel?.();
    this.#cancelCheck?.();
    if (this.#isUp) {
      this.#watch();
      this.#checkIn(this.#init.node.checkMs ?? 10_000);
    }
    this.#init.changed();
  }

  /** What has not come is looked for, and looked for again soon: it may be on its way at first. */
  #checkIn(ms: number, isAgain = false): void {
    const { node, check } = this.#init;
    const { checkMs = 10_000 } = node;
    const checkOnce = async (): Promise<void> => {
      await check().catch(() => {}); // A bus that is away is checked when it is back.
      if (this.#isUp) this.#checkIn(isAgain ? checkMs : Math.min(againMs, checkMs), !isAgain);
    };
    this.#cancelCheck = node.clock.after(ms, () => void checkOnce(), false);
  }

  #message(channel: string, message: Buffer): void {
    const { node, base, heard } = this.#init;
    this.#heardMs = node.clock.nowMs();
    const kind = channel.slice(base.length, base.length + 2);
    const rest = channel.slice(base.length + 2);
    if (kind === "n:") {
      if (!message.equals(probe)) node.frame(message);
      return;
    }
    const end = message.indexOf(lineFeed);
    const head = message.toString("latin1", 0, end === -1 ? message.length : end).split(" ");
    heard(rest, head, message.subarray(end + 1));
  }

  /** Looks whether something comes. */
  #watch(): void {
    const { clock, probeMs = 5_000 } = this.#init.node;
    const dueMs = this.#heardMs + probeMs - clock.nowMs();
    this.#cancel = clock.after(
      Math.max(dueMs, 1),
      () => {
        if (clock.nowMs() - this.#heardMs >= probeMs) this.#probe(probeMs);
        else this.#watch();
      },
      false,
    );
  }

  /** Nothing has come for a while: a message to this node alone has to come by both connections. */
  #probe(probeMs: number): void {
    const { node, base, commands } = this.#init;
    let isAnswered = false;
    commands.line?.send(["PUBLISH", `${base}n:${node.id}`, probe]).then(
      () => (isAnswered = true),
      () => {},
    );
    const sinceMs = this.#heardMs;
    this.#cancel = node.clock.after(
      probeMs,
      () => {
        if (this.#heardMs !== sinceMs) this.#watch();
        else {
          if (!isAnswered) commands.replace();
          this.#kept.replace();
        }
      },
      false,
    );
  }

  #channel(room: string): string {
    return `${this.#init.base}r:${room}`;
  }
}
