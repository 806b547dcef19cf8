import type { DescMessage, Message } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { PresenceEvent } from "../../../gen/ts_ms/hub/v1/events_pb.ts";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { Clock } from "../../core/time/clock.ts";
import type { Entry } from "../connections/entry.ts";
import { Member } from "../room/member.ts";
import type { Membership } from "../room/membership.ts";
import { pathOf } from "../room/room.ts";
import { checkRoom } from "../room/room-key.ts";
import { Attendance } from "./attendance.ts";
import type { NodePresence, SharedPresence } from "./node-presence.ts";
import type { PresenceBounds } from "./presence-bounds.ts";
import type { PresenceSnapshot } from "./presence-events.ts";
import { InfoPacker } from "./presence-info.ts";
import { PresentRoom, type PresentRoomKit } from "./present-room.ts";
import type { Said } from "./presence-entries.ts";
import { isSameInfo, keyOf } from "./present.ts";
import { WatchReader } from "./watch-reader.ts";

/** What the presence of a topic needs. */
export interface TopicPresenceInit {
  readonly topic: string;
  /** Of its messages. */
  readonly schema: DescMessage;
  /** Whether its rooms have names. */
  readonly isNamed: boolean;
  readonly bounds: PresenceBounds;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** Id of this node. */
  readonly node: string;
  /** The message of the topic that is an event; undefined where its messages have no field for it. */
  readonly messageOf: ((event: PresenceEvent) => Message) | undefined;
  /** What is said between nodes. */
  readonly shared: NodePresence;
  /** The connection of an id in this process; undefined for none. */
  readonly connection: (id: string) => Entry | undefined;
}

const emptyRoom: PresenceSnapshot = Object.freeze({ members: [], users: 0, connections: 0 });

/** Who is in the rooms of one topic. */
export class TopicPresence implements SharedPresence {
  readonly #init: TopicPresenceInit;
  readonly #kit: PresentRoomKit;
  readonly #info: InfoPacker;
  readonly #rooms = new Map<string, PresentRoom>();

  constructor(init: TopicPresenceInit) {
    this.#init = init;
    this.#info = new InfoPacker(init.schema);
    const { topic, bounds, clock, node, messageOf, shared } = init;
    const { counts } = shared;
    this.#kit = {
      bounds,
      clock,
      node,
      tell: (kind, event) => {
        counts.told(topic, kind);
        return { event, message: messageOf?.(event) };
      },
      counted: (count) => counts.present(topic, count),
      adopted: ({ path }, key) => shared.changed(path, key, false),
      empty: (room) => this.#close(room),
    };
    shared.add(this);
  }

  /** Packs what others see of a member. @throws ConnectError as `InfoPacker.pack` */
  readonly packInfo = (info: Message): Any => this.#info.pack(info);

  get topic(): string {
    return this.#init.topic;
  }

  /** A call is in a room. */
  joined(membership: Membership): void {
    const { room, member, grant } = membership;
    const key = keyOf(member.user, member.id);
    const present = this.#open(room.name);
    const attendance = new Attendance(present, key, membership, this.#init.messageOf !== undefined);
    membership.news = attendance;
    this.#change(present, key, 1, grant.info, false);
    member.wake();
  }

  /** A call has left a room; it is not waited for where the hub has closed it. */
  left(membership: Membership): void {
    const attendance = membership.news;
    if (!(attendance instanceof Attendance)) return;
    membership.news = undefined;
    this.#change(attendance.room, attendance.key, -1, undefined, membership.member.isClosed);
    attendance.end();
  }

  /** What a call may in a room was decided again. */
  granted({ news, grant: { info } }: Membership): void {
    if (news instanceof Attendance) this.#change(news.room, news.key, 0, info, false);
  }

  /** Who is in a room, as its watchers know it. */
  snapshot(room: string): PresenceSnapshot {
    this.#check(room);
    return this.#find(room)?.snapshot() ?? emptyRoom;
  }

  /**
   * Changes what others see of a member.
   *
   * @throws ConnectError NOT_FOUND where the connection is not in the room, RESOURCE_EXHAUSTED for more changes than
   *   `updatesPerSecond`, or as `InfoPacker.pack`
   */
  async setInfo(connection: string, room: string, info: Message): Promise<void> {
    this.#check(room);
    const packed = this.packInfo(info);
    const { shared, topic } = this.#init;
    const [node = ""] = connection.split("-");
    if (shared.isOther(node)) await shared.setInfo(node, { connection, topic, room, info: packed });
    else this.setInfoHere(connection, room, packed);
  }

  setInfoHere(connection: string, room: string, info: Any): void {
    const news = this.#newsOf(connection, room);
    if (news === undefined) {
      throw new ConnectError(
        `the connection ${JSON.stringify(connection)} is not in the room`,
        Code.NotFound,
      );
    }
    news.countUpdate(this.#init.clock.nowMs(), this.#init.bounds.updatesPerSecond);
    this.#change(news.room, news.key, 0, info, false);
  }

  /** What is told of a room, for readers that are no members. It ends with `signal`. */
  watch(room: string, signal: AbortSignal): AsyncIterableIterator<PresenceEvent> {
    this.#check(room);
    return new WatchReader(this.#open(room), signal);
  }

  saidBy(node: string, path: string, key: string): Said | undefined {
    const share = this.#rooms.get(path)?.find(key)?.shareOf(node);
    return share && { path, key, share, atOnce: false };
  }

  *allSaidBy(node: string): Generator<Said> {
    for (const [path, room] of this.#rooms) {
      for (const present of room.all) {
        const share = present.shareOf(node);
        if (share !== undefined) yield { path, key: present.key, share, atOnce: false };
      }
    }
  }

  say({ path, key, share, atOnce }: Said): void {
    const { topic } = this.#init;
    const room = share.connections === 0 ? this.#rooms.get(path) : this.#open(path.slice(topic.length + 1));
    room?.set(key, share, atOnce);
  }

  #change(room: PresentRoom, key: string, connections: number, info: Any | undefined, atOnce: boolean): void {
    const { node, wallMs } = this.#init;
    const present = room.find(key);
    const own = present?.shareOf(node);
    const nowMs = wallMs();
    const before = own ?? {
      connections: 0,
      joinedAtMs: nowMs,
      info: undefined,
      infoNumber: 0,
      ...present?.merged,
    };
    const hasNews = info !== undefined && !isSameInfo(info, before.info);
    const share = {
      key,
      node,
      connections: before.connections + connections,
      joinedAtMs: before.joinedAtMs,
      info: hasNews ? info : before.info,
      infoNumber: hasNews ? Math.max(nowMs, before.infoNumber + 1) : before.infoNumber,
    };
    room.set(key, share, atOnce);
    this.#init.shared.changed(room.path, key, atOnce);
  }

  #newsOf(connection: string, room: string): Attendance | undefined {
    const { topic, connection: find } = this.#init;
    for (const reader of find(connection)?.readers ?? []) {
      if (!(reader instanceof Member) || !reader.reads(topic)) continue;
      const news = reader.placeIn(room)?.news;
      if (news instanceof Attendance) return news;
    }
    return undefined;
  }

  /** @throws ConnectError INVALID_ARGUMENT */
  #check(room: string): void {
    checkRoom(room, "room", this.#init.isNamed);
  }

  #find(room: string): PresentRoom | undefined {
    return this.#rooms.get(pathOf(this.#init.topic, room));
  }

  #open(name: string): PresentRoom {
    const path = pathOf(this.#init.topic, name);
    const known = this.#rooms.get(path);
    if (known !== undefined) return known;
    const room = new PresentRoom(name, path, this.#kit);
    this.#rooms.set(path, room);
    return room;
  }

  #close(room: PresentRoom): void {
    if (this.#rooms.get(room.path) !== room) return;
    this.#rooms.delete(room.path);
    room.close();
  }
}
