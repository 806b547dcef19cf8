import { workerId } from "../../../core/lifecycle/worker-process.ts";
import { Code, ConnectError } from "../../../core/errors/errors.ts";
import { SetupError } from "../../../core/errors/setup-error.ts";
import type { ChannelRoll } from "../../../core/workers/channel-roll.ts";
import {
  type ChannelMembership,
  type WorkerChannel,
  workerChannel,
} from "../../../core/workers/worker-channel.ts";
import type { Position } from "../../room/position.ts";
import type { RoomEntry } from "../../room/publication.ts";
import type { Bus, BusNode, BusPage, BusPublication, BusReceipt, RoomSeen } from "../bus.ts";
import { measured } from "../measured.ts";
import { OwnPublications } from "../own-publications.ts";
import { HeardRooms, topicOf } from "./heard-rooms.ts";
import { OwnedRooms } from "./owned-rooms.ts";
import { Ownership } from "./ownership.ts";
import { PublishingLanes } from "./publishing-lanes.ts";
import { Questions } from "./questions.ts";
import { readWorkerFrame, type WorkerFrame, writeWorkerFrame } from "./worker-frame.ts";

/** The largest message, in bytes: what waits for a slow worker is twice as much. */
const maxMessageBytes = 512 * 1024;
/** How long a cursor is kept that is not moved, where nothing else is said, in milliseconds. */
const cursorMs = 30 * 24 * 3_600_000;
/** How long others may take for what this process hands over when it leaves, in milliseconds. */
const leaveMs = 2_000;

/** A process that is on the channel of its hub. */
interface Running {
  readonly node: BusNode;
  readonly membership: ChannelMembership;
  readonly ownership: Ownership;
  readonly questions: Questions;
  readonly lanes: PublishingLanes;
  readonly owned: OwnedRooms;
  readonly heard: HeardRooms;
  readonly channel: WorkerChannel;
  readonly end: () => void;
}

/**
 * A bus between the workers of a program, by its primary: their hubs are one without a broker. Each room belongs to one
 * worker, which numbers and keeps its publications; a worker that stops hands its rooms over, and one that dies takes what was
 * kept with it. In a program without workers it ends at this process.
 */
export function workerBus(): Bus {
  return new WorkerBus(workerChannel, workerId() !== undefined);
}

/** See `workerBus`. */
export class WorkerBus implements Bus {
  readonly name = "worker";
  readonly maxMessageBytes = maxMessageBytes;
  readonly isShared: boolean;
  readonly #channelOf: (name: string) => WorkerChannel;
  readonly #own = new OwnPublications();
  #running: Running | undefined;

  /** @param isShared whether there may be other members */
  constructor(channelOf: (name: string) => WorkerChannel, isShared: boolean) {
    this.#channelOf = channelOf;
    this.isShared = isShared;
  }

  async start(node: BusNode): Promise<void> {
    if (this.#running !== undefined) {
      throw new SetupError("Hub: the option bus is the bus of another hub already");
    }
    const channel = this.#channelOf(`hub:${node.name}`);
    const first = Promise.withResolvers<void>();
    const membership = channel.join((roll) => {
      this.#rolled(roll);
      first.resolve();
    });
    const end = channel.on((bytes) => this.#received(bytes));
    const { id } = membership;
    const { clock } = node;
    const send = (frame: WorkerFrame, to?: number): void => channel.post(writeWorkerFrame(id, frame), to);
    const owned = new OwnedRooms({
      clock,
      tell: (frame) => {
        send(frame);
        heard.told(id, frame);
      },
      backUp: (copy) => ownership.backUp(copy),
    });
    const ownership: Ownership = new Ownership({ id, clock, owned, send });
    const questions = new Questions({ id, clock, ownership, send });
    const lanes = new PublishingLanes(questions, ownership);
    const heard: HeardRooms = new HeardRooms({
      ...{ node, own: this.#own },
      isThere: (member) => ownership.isThere(member),
      read: (...asked) => this.read(...asked),
      tops: (rooms) => questions.tops(rooms),
    });
    this.#running = { node, membership, ownership, questions, lanes, owned, heard, channel, end };
    heard.start();
    await first.promise;
  }

  async close(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    const { membership, ownership, questions, lanes, owned, heard, node } = running;
    heard.close();
    membership.leave();
    const late = Promise.withResolvers<void>();
    const cancel = node.clock.after(leaveMs, late.resolve);
    await Promise.race([Promise.all([ownership.handedOver, lanes.idle()]), late.promise]);
    cancel();
    this.#running = undefined;
    lanes.close();
    questions.close();
    ownership.close();
    owned.close();
    running.channel.post(writeWorkerFrame(membership.id, { kind: "bye" }));
    running.end();
    membership.left();
  }

  async publish(said: BusPublication, signal: AbortSignal): Promise<BusReceipt> {
    const { room, publication, history, dedupeMs } = said;
    const { node, lanes } = this.#open();
    const { number } = this.#own.add(publication);
    try {
      const record = node.form.write(topicOf(room), publication, number);
      const { id, bytes } = publication;
      const about = { room, record, id, bytes, history, dedupeMs, number, node: node.id };
      return await measured(node, "publish", () => lanes.publish({ kind: "publish", ...about }, signal));
    } finally {
      this.#own.take(number); // It has come before, if it comes.
    }
  }

  async subscribe(rooms: readonly string[]): Promise<void> {
    this.#open().heard.add(rooms); // What is told comes to every member.
  }

  async unsubscribe(rooms: readonly string[]): Promise<void> {
    this.#running?.heard.delete(rooms);
  }

  async read(room: string, after: Position | undefined, limit: number): Promise<BusPage> {
    return measured(this.#running?.node, "read", () => this.#read(room, after, limit));
  }

  async #read(room: string, after: Position | undefined, limit: number): Promise<BusPage> {
    const { questions, heard } = this.#open();
    const entries: RoomEntry[] = [];
    let isComplete = true;
    let from = after;
    for (;;) {
      const question = { kind: "read", room, after: from, limit: limit - entries.length } as const;
      const { records, top, complete, isCut } = await questions.ask(room, question);
      isComplete &&= complete;
      for (const { offset, record } of records) {
        const position = { epoch: top.epoch, offset };
        entries.push(...heard.entryOf(room, record, position));
        from = position;
      }
      if (!isCut || records.length === 0 || !complete) return { entries, top, complete: isComplete };
    }
  }

  async tops(rooms: readonly RoomSeen[]): Promise<readonly Position[]> {
    const { node, questions, heard } = this.#open();
    const tops = await measured(node, "tops", () => questions.tops(rooms.map(({ room }) => room)));
    for (const [place, { room }] of rooms.entries()) {
      const top = tops[place];
      if (top !== undefined) heard.find(room)?.feed.opened(top);
    }
    return tops;
  }

  async cast(to: string, frame: Uint8Array): Promise<void> {
    const { node, membership, channel } = this.#open();
    channel.post(writeWorkerFrame(membership.id, { kind: "node", to, frame }));
    if (to === "all" || to === node.id) node.frame(frame);
  }

  async cursor(key: string, set?: Position, ttlMs = cursorMs): Promise<Position | undefined> {
    const { node, questions } = this.#open();
    return measured(node, "cursor", () => questions.ask(key, { kind: "cursor", key, set, ttlMs }));
  }

  async clear(room: string): Promise<void> {
    const { node, questions } = this.#open();
    await measured(node, "clear", () => questions.ask(room, { kind: "clear", room }));
  }

  #rolled(roll: ChannelRoll): void {
    const { ownership, questions, lanes, heard } = this.#running ?? {};
    ownership?.rolled(roll);
    questions?.rolled();
    lanes?.rolled();
    void heard?.check(); // A room whose owner has died begins anew.
  }

  #received(bytes: Uint8Array): void {
    if (this.#running === undefined) return;
    const { node, ownership, questions, membership, heard, channel } = this.#running;
    const read = readWorkerFrame(bytes);
    if (read === undefined) {
      node.did?.("frame", undefined);
      return;
    }
    const { from, frame } = read;
    switch (frame.kind) {
      case "told":
      case "cleared":
        return heard.told(from, frame);
      case "node":
        if (frame.to === "all" || frame.to === node.id) node.frame(frame.frame);
        return;
      case "bye":
        return questions.bye(from);
      case "answer":
        return questions.answered(frame.number, frame.answer);
      case "ask":
        return ownership.asked(frame.question, frame.roll, (answer) =>
          channel.post(
            writeWorkerFrame(membership.id, { kind: "answer", number: frame.number, answer }),
            from,
          ),
        );
      case "moved":
      case "taken":
      case "settled":
      case "settle":
        return ownership.heard(from, frame);
      default: // Of a later release.
    }
  }

  /** @throws ConnectError UNAVAILABLE */
  #open(): Running {
    if (this.#running === undefined) throw new ConnectError("the hub has stopped", Code.Unavailable);
    return this.#running;
  }
}
