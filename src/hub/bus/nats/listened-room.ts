import {
  NatsAway,
  type NatsLine,
  type NatsMessage,
  type NatsSubscription,
} from "../../../core/nats/nats-line.ts";
import type { BusNode, BusPage } from "../bus.ts";
import { RoomFeed } from "../room-feed.ts";
import type { Position } from "../../room/position.ts";
import type { RoomEntry } from "../../room/publication.ts";
import type { Clearings } from "./clearings.ts";
import { numberedOf } from "./kept-messages.ts";
import { epochOf, type NatsTopic } from "./nats-topic.ts";

/** A room on NATS. */
export interface NatsRoom {
  /** `topic/room`. */
  readonly path: string;
  /** Its name in subjects. */
  readonly token: string;
  readonly topic: NatsTopic;
}

/** What rooms that are listened to need. */
export interface ListeningKit {
  readonly node: BusNode;
  readonly clearings: Clearings;
  /** The publication of a message; undefined for what cannot be read. */
  entryOf(room: NatsRoom, data: Uint8Array, position: Position | undefined): RoomEntry | undefined;
  read(line: NatsLine, room: NatsRoom, after: Position | undefined, limit: number): Promise<BusPage>;
}

/** A room that the node listens to: its messages, in their order and whole, over any number of connections. */
export class ListenedRoom {
  readonly feed: RoomFeed;
  readonly #room: NatsRoom;
  readonly #kit: ListeningKit;
  #line: NatsLine | undefined;
  #subscription: NatsSubscription | undefined;
  /** Messages that wait until the epoch is known. */
  #held: NatsMessage[] | undefined;

  constructor(room: NatsRoom, kit: ListeningKit) {
    this.#room = room;
    this.#kit = kit;
    const { path } = room;
    this.feed = new RoomFeed({
      published: (entry, previous) => kit.node.published(path, entry, previous),
      begun: (top) => kit.node.begun(path, top, "BUS"),
      read: (after, limit) => this.#read(after, limit),
      gap: (outcome) => kit.node.gap?.(path, outcome),
    });
  }

  /** Listens over a connection. @throws NatsAway */
  listen(line: NatsLine): void {
    this.#held = undefined;
    this.#line = line;
    const { topic, token } = this.#room;
    this.#subscription = line.subscribe(topic.subjects.live(token), (message) => this.#heard(line, message));
  }

  end(): void {
    this.#subscription?.unsubscribe();
  }

  /** What was published while there was no connection is read. @throws Error of NATS */
  async catchUp(line: NatsLine): Promise<void> {
    if (!this.#room.topic.isKept) return;
    this.#line = line;
    await this.feed.catchUp();
  }

  #read(after: Position | undefined, limit: number): Promise<BusPage> {
    const line = this.#line;
    if (line === undefined) throw new NatsAway("there is no connection", false);
    return this.#kit.read(line, this.#room, after, limit);
  }

  #heard(line: NatsLine, message: NatsMessage): void {
    const number = numberedOf(message)?.offset;
    const { topic } = this.#room;
    if (number !== undefined && !topic.told(number)) topic.close(); // NATS has less than it had.
    if (this.#held !== undefined) this.#held.push(message);
    else if (!this.#told(message)) void this.#hold(line, message);
  }

  /** Until the epoch is known what is told waits. */
  async #hold(line: NatsLine, message: NatsMessage): Promise<void> {
    const held = [message];
    this.#held = held;
    const { topic, path } = this.#room;
    try {
      while (held.length > 0) {
        const { epoch } = await topic.open(line);
        await this.#kit.clearings.epochOf(line, path, epoch);
        for (let next = held[0]; next !== undefined && this.#told(next); next = held[0]) held.shift();
      }
    } catch {
      // The connection has ended: with the next one the room is caught up with.
    }
    if (this.#held === held) this.#held = undefined;
  }

  /** @returns whether its epoch was known */
  #told(message: NatsMessage): boolean {
    const { topic, path } = this.#room;
    const numbered = numberedOf(message);
    if (numbered === undefined) {
      const entry = this.#kit.entryOf(this.#room, message.data, undefined);
      if (entry !== undefined) this.feed.told(entry, undefined);
      return true;
    }
    const opened = topic.now;
    if (opened === undefined) return false;
    if (numbered.begins !== undefined) {
      this.#cleared(numbered.begins, opened.epoch, numbered.offset);
      return true;
    }
    const epoch = this.#kit.clearings.known(path, opened.epoch);
    if (epoch === undefined) return false;
    const { offset, previous, data } = numbered;
    const entry = this.#kit.entryOf(this.#room, data, { epoch, offset });
    if (entry !== undefined) this.feed.told(entry, previous);
    return true;
  }

  #cleared(begins: string, epoch: string, offset: number): void {
    const { path } = this.#room;
    this.#kit.clearings.cleared(path, begins);
    const top = { epoch: epochOf(`${epoch} ${begins}`), offset };
    this.feed.begun(top);
    this.#kit.node.begun(path, top, "CLEARED");
  }
}
