import { setTimeout as pause } from "node:timers/promises";
import { Code, ConnectError } from "../../../core/errors/errors.ts";
import { SetupError } from "../../../core/errors/setup-error.ts";
import { NatsAway, type NatsLine, type NatsMessage } from "../../../core/nats/nats-line.ts";
import { NatsLink, type NatsLinkOwner } from "../../../core/nats/nats-link.ts";
import { type NatsOptions, toNatsOptions } from "../../../core/nats/nats-options.ts";
import { NumberedWindow } from "../../../core/nats/numbered-window.ts";
import { ackOf, ensureStream, isNoStream } from "../../../core/nats/streams.ts";
import { type Position, randomName } from "../../room/position.ts";
import type { Publication, RoomEntry } from "../../room/publication.ts";
import { unknownOutcome } from "../unknown-outcome.ts";
import type {
  Bus,
  BusNode,
  BusOperation,
  BusPage,
  BusPublication,
  BusReceipt,
  RoomSeen,
  TopicKeeping,
} from "../bus.ts";
import { measured } from "../measured.ts";
import { Clearings } from "./clearings.ts";
import { cursorText, cursorOf } from "./cursor-text.ts";
import { beginsHeader, type KeptMessage } from "./kept-messages.ts";
import { ListenedRoom, type NatsRoom } from "./listened-room.ts";
import type { NatsKeeping } from "./nats-keeping.ts";
import { NatsTopic } from "./nats-topic.ts";
import { digest, HubSubjects, splitPath, tokenOf } from "./subjects.ts";

/** Options of `natsBus`. */
export interface NatsBusOptions extends NatsOptions, NatsKeeping {}

/** Bytes that a publication has beside its message, such as its headers. */
const besideBytes = 64 * 1024;
/** So many rooms are caught up with at once. */
const atOnce = 64;

/**
 * A bus over NATS 2.9 or later with JetStream: hubs of one name on the same servers are nodes of one another.
 *
 * @throws SetupError naming the option that cannot be used
 */
export function natsBus(options: Partial<NatsBusOptions> = {}): Bus {
  const { storage = "memory", replicas = 1, ...connecting } = options;
  if (storage !== "memory" && storage !== "file") {
    throw new SetupError('NATS: the option storage must be "memory" or "file"');
  }
  if (!Number.isInteger(replicas) || replicas < 1 || replicas > 5) {
    throw new SetupError("NATS: the option replicas must be a number from 1 to 5");
  }
  return new NatsBus(toNatsOptions(connecting), { storage, replicas });
}

/** What a bus has from its start to its end. */
interface Running {
  readonly node: BusNode;
  readonly subjects: HubSubjects;
  readonly link: NatsLink;
  readonly clearings: Clearings;
}

class NatsBus implements Bus {
  readonly name = "nats";
  readonly isShared = true;
  readonly ignoresSignal = true;
  readonly maxMessageBytes = 1024 * 1024 - besideBytes; // A server takes 1 MiB by default.
  readonly #options: NatsOptions;
  readonly #keeping: NatsKeeping;
  readonly #keepings = new Map<string, TopicKeeping>();
  readonly #topics = new Map<string, NatsTopic>();
  /** Rooms that are listened to. */
  readonly #rooms = new Map<string, ListenedRoom>();
  /** Publications of this node that have not come back, by their numbers. */
  readonly #own = new NumberedWindow<Publication>();
  #running: Running | undefined;

  constructor(options: NatsOptions, keeping: NatsKeeping) {
    this.#options = options;
    this.#keeping = keeping;
  }

  async start(node: BusNode): Promise<void> {
    if (this.#running !== undefined) {
      throw new SetupError("Hub: the option bus is the bus of another hub already");
    }
    const subjects = new HubSubjects(node.name);
    const owner: NatsLinkOwner = {
      up: (line) => this.#up(line),
      down: () => node.busIs(false),
      tried: (ms) => node.did?.("connect", ms),
    };
    const link = new NatsLink(this.#options, owner, node.clock);
    this.#running = { node, subjects, link, clearings: new Clearings(subjects) };
    node.busIs(false); // Until it is connected.
    await link.start();
  }

  async close(): Promise<void> {
    this.#running?.link.close();
    this.#running = undefined;
    this.#rooms.clear();
    this.#topics.clear();
    this.#own.takeAll();
  }

  keep(topic: string, keeping: TopicKeeping): void {
    this.#keepings.set(topic, keeping);
  }

  async publish(publication: BusPublication): Promise<BusReceipt> {
    return this.#over("publish", (line) => this.#publish(line, publication));
  }

  async #publish(line: NatsLine, publication: BusPublication): Promise<BusReceipt> {
    const { room: path, history, publication: own } = publication;
    const number = this.#own.add(own);
    try {
      const room = this.#room(path);
      if (history === undefined) return await this.#tell(line, room, number, own);
      const { gate } = room.topic;
      if (gate !== undefined) await gate;
      const numbered = this.#number(line, room, number, publication);
      room.topic.last = numbered;
      return await numbered;
    } catch (reason) {
      throw reason instanceof NatsAway && reason.isUnknown ? unknownOutcome(own.id) : reason;
    } finally {
      this.#own.take(number);
    }
  }

  async subscribe(rooms: readonly string[]): Promise<void> {
    await this.#over("subscribe", async (line) => {
      const added = rooms.filter((path) => !this.#rooms.has(path));
      try {
        for (const path of added) {
          const room = this.#listened(path);
          this.#rooms.set(path, room);
          room.listen(line);
        }
        await line.flush();
      } catch (reason) {
        await this.unsubscribe(added);
        throw reason;
      }
    });
  }

  async unsubscribe(rooms: readonly string[]): Promise<void> {
    for (const path of rooms) {
      this.#rooms.get(path)?.end();
      this.#rooms.delete(path);
    }
  }

  async read(path: string, after: Position | undefined, limit: number): Promise<BusPage> {
    return this.#over("read", (line) => this.#read(line, this.#room(path), after, limit));
  }

  async tops(rooms: readonly RoomSeen[]): Promise<readonly Position[]> {
    return this.#over("tops", async (line) => {
      const topics = new Set(rooms.map(({ room }) => this.#room(room).topic));
      for (const topic of topics) topic.close(); // They are looked at: NATS may have less than it had.
      return Promise.all(
        rooms.map(async ({ room, seen }) => {
          const { top } = await this.#last(line, this.#room(room));
          this.#rooms.get(room)?.feed.opened(top);
          // It may be forgotten, as it is so old; numbers of a stream never go back.
          const least = seen?.epoch === top.epoch ? seen.offset : 0;
          return { ...top, offset: Math.max(least, top.offset) };
        }),
      );
    });
  }

  async cast(to: string, frame: Uint8Array): Promise<void> {
    await this.#over("cast", async (line) => line.publish(this.#open().subjects.node(to), frame));
  }

  async cursor(key: string, set?: Position, ttlMs?: number): Promise<Position | undefined> {
    return this.#over("cursor", async (line) => {
      const { subjects } = this.#open();
      const subject = subjects.cursor(key);
      if (set !== undefined) {
        ackOf(await line.request(subject, cursorText(set, ttlMs, Date.now())));
        return set;
      }
      const kept = await line.request(`$JS.API.DIRECT.GET.${subjects.state}.${subject}`);
      const found = cursorOf(kept.string(), Date.now());
      if (found !== "ended") return found;
      await line.manager.streams.purge(subjects.state, { filter: subject });
      return undefined;
    });
  }

  async clear(path: string): Promise<void> {
    await this.#over("clear", async (line) => {
      const { subjects, clearings } = this.#open();
      const { topic, token } = this.#room(path);
      const numbered = topic.subjects.numbered(token);
      await topic.open(line);
      const begins = randomName();
      // From here on the room has another epoch, for nodes that come as well.
      ackOf(await line.request(subjects.cleared(path), begins));
      const { streams } = line.manager;
      await streams.purge(topic.subjects.numbers, { filter: numbered });
      await streams.purge(topic.subjects.kept, { filter: topic.subjects.told(token) });
      // Those that listen to the room hear of it in its place among the publications, others beside them.
      ackOf(await line.request(numbered, undefined, { [beginsHeader]: begins }));
      clearings.cleared(path, begins);
      line.publish(subjects.buses, Buffer.from(JSON.stringify({ cleared: path, begins })));
    });
  }

  /** A publication without a number. */
  async #tell(line: NatsLine, room: NatsRoom, number: number, publication: Publication): Promise<BusReceipt> {
    const { topic, token } = room;
    const { last } = topic;
    if (last !== undefined) {
      // NATS tells it at once, and those that are being numbered are before it.
      const gate = last.then(
        () => {},
        () => {},
      );
      topic.gate = gate;
      await gate;
      if (topic.gate === gate) topic.gate = undefined;
    }
    const bytes = this.#open().node.form.write(topic.name, publication, number);
    line.publish(topic.subjects.toldOnly(token), bytes);
    await line.flush();
    return { position: undefined, duplicate: false };
  }

  /** A publication that NATS numbers, keeps and tells. */
  async #number(
    line: NatsLine,
    { path, token, topic }: NatsRoom,
    number: number,
    { publication, dedupeMs }: BusPublication,
  ): Promise<BusReceipt> {
    const { node, clearings } = this.#open();
    if (topic.now === undefined) await topic.open(line);
    const bytes = node.form.write(topic.name, publication, number);
    const id = dedupeMs > 0 ? { "Nats-Msg-Id": digest(`${path} ${publication.id}`) } : undefined;
    const subject = topic.subjects.numbered(token);
    let answer = await line.request(subject, bytes, id);
    if (isNoStream(answer)) {
      topic.close(); // The stream was deleted: it begins anew.
      await topic.open(line);
      answer = await line.request(subject, bytes, id);
    }
    const { seq: offset, isDuplicate } = ackOf(answer);
    if (!isDuplicate && !topic.confirmed(offset)) topic.close(); // NATS has less than it had.
    const { epoch: common } = topic.now ?? (await topic.open(line));
    const epoch = clearings.known(path, common) ?? (await clearings.epochOf(line, path, common));
    return { position: { epoch, offset }, duplicate: isDuplicate };
  }

  /** What is there to begin with over a connection, and everything that was missed while there was none. */
  async #up(line: NatsLine): Promise<void> {
    const { node, subjects, clearings } = this.#open();
    await ensureStream(line, {
      name: subjects.state,
      subjects: subjects.ofState,
      ...this.#keeping,
      maxPerSubject: 1,
      maxAgeMs: 0,
      duplicateWindowMs: 100,
      republish: undefined,
    });
    const hear = ({ data }: NatsMessage): void => node.frame(data);
    line.subscribe(subjects.node(node.id), hear);
    line.subscribe(subjects.node("all"), hear);
    line.subscribe(subjects.buses, (message) => this.#heard(message));
    for (const room of this.#rooms.values()) room.listen(line);
    await line.flush();
    await clearings.load(line);
    for (const topic of this.#topics.values()) topic.close();
    const rooms = [...this.#rooms.values()];
    for (let first = 0; first < rooms.length; first += atOnce) {
      await Promise.all(rooms.slice(first, first + atOnce).map((room) => room.catchUp(line)));
    }
    node.busIs(true);
  }

  /** Another bus has said something. */
  #heard(message: NatsMessage): void {
    try {
      const { cleared, begins } = message.json<{ cleared?: unknown; begins?: unknown }>();
      if (typeof cleared === "string" && typeof begins === "string") {
        this.#running?.clearings.cleared(cleared, begins);
      }
    } catch {
      // It is of no release that is known.
    }
  }

  async #read(line: NatsLine, room: NatsRoom, after: Position | undefined, limit: number): Promise<BusPage> {
    const { kept } = await room.topic.open(line);
    const { top, last } = await this.#last(line, room);
    if (after !== undefined && (after.epoch !== top.epoch || after.offset > top.offset)) {
      return { entries: [], top, complete: false };
    }
    if (last === undefined) return { entries: [], top, complete: true };
    const { isComplete, messages } = await kept.read(room.token, after?.offset, last, limit);
    const { epoch } = top;
    const entriesOf = (some: readonly KeptMessage[]): readonly RoomEntry[] =>
      some.flatMap(({ offset, data, begins }) =>
        begins === undefined ? (this.#entryOf(room, data, { epoch, offset }) ?? []) : [],
      );
    const entries = entriesOf(messages);
    const { bytes } = this.#keepings.get(room.topic.name)?.history ?? {};
    if (bytes === undefined) return { entries, top, complete: isComplete };
    // NATS bounds no bytes of a room. Which ones are too many is said by all that follow.
    const rest = entriesOf(await kept.rest(room.token, messages, last));
    const from = firstWithin([...entries, ...rest], bytes);
    const complete = after === undefined || (isComplete && from === 0);
    return { entries: from === 0 ? entries : [...entries, ...rest].slice(from, from + limit), top, complete };
  }

  async #last(line: NatsLine, { path, token, topic }: NatsRoom) {
    const { kept, epoch: common } = await topic.open(line);
    const [last, epoch] = await Promise.all([
      kept.last(token),
      this.#open().clearings.epochOf(line, path, common),
    ]);
    const top: Position = { epoch, offset: last?.offset ?? 0 };
    return { last, top };
  }

  #listened(path: string): ListenedRoom {
    const { node, clearings } = this.#open();
    return new ListenedRoom(this.#room(path), {
      node,
      clearings,
      entryOf: (room, data, position) => this.#entryOf(room, data, position),
      read: (line, room, after, limit) =>
        measured(this.#running?.node, "read", () => this.#read(line, room, after, limit)),
    });
  }

  #entryOf({ topic }: NatsRoom, data: Uint8Array, position: Position | undefined): RoomEntry | undefined {
    const { node } = this.#open();
    const read = node.form.read(topic.name, data);
    if (read === undefined) {
      node.did?.("frame", undefined);
      return undefined;
    }
    const own = read.node === node.id ? this.#own.find(read.number) : undefined;
    return { publication: own ?? read.publication, untilMs: read.untilMs, position };
  }

  #room(path: string): NatsRoom {
    const { topic: name, room } = splitPath(path);
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      const { subjects } = this.#open();
      topic = new NatsTopic(name, subjects.topic(name), this.#keepings.get(name), {
        ...this.#keeping,
        wallMs: Date.now,
        pause: (ms) => pause(ms),
      });
      this.#topics.set(name, topic);
    }
    return { path, token: tokenOf(room), topic };
  }

  /** Does something over the connection, and measures it. @throws ConnectError UNAVAILABLE */
  async #over<T>(operation: BusOperation, work: (line: NatsLine) => Promise<T>): Promise<T> {
    try {
      return await measured(this.#running?.node, operation, () => work(this.#line()));
    } catch (reason) {
      throw unavailable(reason);
    }
  }

  /** @throws ConnectError UNAVAILABLE */
  #line(): NatsLine {
    const line = this.#open().link.line;
    if (line === undefined) throw new ConnectError("NATS cannot be reached", Code.Unavailable);
    return line;
  }

  /** @throws ConnectError UNAVAILABLE */
  #open(): Running {
    if (this.#running === undefined) throw new ConnectError("the hub has stopped", Code.Unavailable);
    return this.#running;
  }
}

/** The place of the oldest of those at the end that have no more than so many bytes together. */
function firstWithin(entries: readonly RoomEntry[], bytes: number): number {
  let sum = 0;
  for (let place = entries.length; place > 0; place--) {
    sum += entries[place - 1]?.publication.bytes ?? 0;
    if (sum > bytes) return place;
  }
  return 0;
}

function unavailable(reason: unknown): ConnectError {
  if (reason instanceof ConnectError) return reason;
  const text = reason instanceof Error ? reason.message : String(reason);
  return new ConnectError(`NATS: ${text}`, Code.Unavailable, undefined, undefined, reason);
}
