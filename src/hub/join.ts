import type { Message } from "@bufbuild/protobuf";
import type { CallContext } from "../core/call/context.ts";
import { Code, ConnectError } from "../core/errors/errors.ts";
import { lastEventIdHeader } from "../core/metadata/stream-position.ts";
import type { Clock } from "../core/time/clock.ts";
import { type Asking, authorizeRooms, type Deciding } from "./authorize.ts";
import type { Entry } from "./connections/entry.ts";
import { Patience } from "./patience.ts";
import { beginningOf, type Initial, withoutHistory } from "./room/beginning.ts";
import { compileFilter } from "./room/header-filter.ts";
import { Member, type MemberOwner } from "./room/member.ts";
import type { MemberView } from "./room/member-view.ts";
import type { Beginning, Membership } from "./room/membership.ts";
import { type Position, PositionVector } from "./room/position.ts";
import type { RoomReset } from "./room/resets.ts";
import { pathOf, type Room, type RoomKind } from "./room/room.ts";
import { checkRoom } from "./room/room-key.ts";
import { type Rooms, tooManyRooms } from "./rooms.ts";
import type { JoinOptions } from "./topic-options.ts";
import type { TopicShape } from "./topic-shape.ts";

/** The limits of joins. */
export interface JoinLimits {
  /** The most rooms that the calls of a connection are in. Default: 128. */
  readonly maxRoomsPerConnection: number;
  /** The most rooms of a call. Default: 16. */
  readonly maxRoomsPerCall: number;
  /** Joins of one connection in a second, four times as many at once; 0 for any number. Default: 50. */
  readonly joinsPerSecond: number;
  /** How long a join may take: `authorize`, the bus and `snapshot` together, in milliseconds: UNAVAILABLE beyond. Default: 5,000. */
  readonly joinTimeoutMs: number;
  /** Bytes of messages for one call alone that wait for it. Default: 64 KiB. */
  readonly maxDirectBytes: number;
}

/** A topic as those see it that join it. */
export interface JoinedTopic extends Deciding {
  readonly shape: TopicShape;
  readonly kind: RoomKind;
  readonly maxMembers: number;
  readonly initial: Initial;
}

/** A call that joins rooms. */
export interface Joining extends Asking {
  readonly rooms: readonly string[];
  readonly options: JoinOptions;
  /** How a call sees the topic that is of another type; undefined for the calls of its rpc. */
  readonly seen?: JoinedBy | undefined;
}

/** A call that is a member of several topics. */
export interface JoinedBy {
  readonly view: MemberView;
  /** The positions that it has in the rooms of this topic; undefined for none. */
  readonly asked: readonly (Position | undefined)[] | "unknown" | undefined;
}

/** With what a join is done. */
export interface JoinKit {
  readonly rooms: Rooms;
  readonly limits: JoinLimits;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
}

/** A member, and how its call begins. */
export interface Joined {
  readonly member: Member;
  /** Undefined for a topic without history. */
  readonly result: Beginning["result"] | undefined;
  readonly resets: readonly RoomReset[];
}

const burst = 4;
const none: readonly Message[] = Object.freeze([]);

/**
 * **The story of a join**: limits; whether the client may; the rooms, where what is published comes from then on; where it
 * begins, by the position that it has; the state of the rooms; its place there. Whatever step is under way when the call
 * ends, the call is in no room behind it.
 *
 * @throws ConnectError by which the call is refused
 */
export async function join(
  topic: JoinedTopic,
  joining: Joining,
  { rooms, limits, clock, wallMs }: JoinKit,
  owner: MemberOwner,
): Promise<Joined> {
  const { entry, context, request, options, seen } = joining;
  const { kind, shape } = topic;
  const names = joining.rooms.length === 1 ? joining.rooms : [...new Set(joining.rooms)];
  for (const name of names) checkRoom(name, "room", shape.isNamed);
  checkLimits(0, names.length, entry, limits, clock.nowMs());
  const own = options.filter && compileFilter(options.filter);
  const vector = kind.hasHistory ? new PositionVector(names) : undefined;
  const held: Room[] = [];
  const patience = new Patience(context, clock, limits.joinTimeoutMs);
  try {
    const granting = authorizeRooms(topic, joining, names, wallMs, patience);
    const grants = granting instanceof Promise ? await granting : granting;
    for (const name of names) held.push(rooms.hold(kind, name, pathOf(kind.topic, name)));
    checkPlaces(topic, entry, 0, held, limits);
    if (held.some(({ isReady }) => !isReady)) await patience.of(Promise.all(held.map(({ ready }) => ready)));
    const asked = seen === undefined ? vector && askedOf(context, vector) : vector && seen.asked;
    const begun = begin(topic, held, asked, patience);
    const beginnings = begun instanceof Promise ? await begun : begun;
    if (context.reason !== undefined) throw context.reason;
    checkPlaces(topic, entry, 0, held, limits); // Other calls may have joined meanwhile.
    const { maxDirectBytes } = limits;
    const member = new Member(
      { entry, context, request, own, maxDirectBytes, vector, view: seen?.view },
      owner,
    );
    const positions = vector?.format(beginnings.map(({ beginning }) => beginning.position));
    const resets: RoomReset[] = [];
    for (const [place, room] of held.entries()) {
      const found = beginnings[place];
      if (found === undefined) continue; // There is one for each room.
      const { beginning, state } = found;
      const { reason } = beginning;
      const lost = reason && { room: room.name, reason, missed: undefined };
      if (lost !== undefined) resets.push(lost);
      const message = lost && member.resetMessageOf(room)?.(lost, positions);
      const intro = message === undefined ? state : [message, ...state];
      member.enter(room, grants[place] ?? {}, beginning, intro);
    }
    return { member, result: vector && resultOf(beginnings), resets };
  } catch (reason) {
    for (const room of held) rooms.release(room);
    throw reason;
  } finally {
    patience.end();
  }
}

/**
 * A member joins a further room, by the same checks as a join: it begins there now, with the state of the room.
 *
 * @returns its place there; undefined where it is in the room already
 * @throws ConnectError by which it is refused
 */
export async function joinAlso(
  topic: JoinedTopic,
  member: Member,
  name: string,
  { rooms, limits, clock, wallMs }: JoinKit,
): Promise<Membership | undefined> {
  const { entry, context } = member;
  const { kind } = topic;
  if (member.placeIn(name) !== undefined) return undefined;
  checkLimits(member.size, 1, entry, limits, clock.nowMs());
  let room: Room | undefined;
  const patience = new Patience(context, clock, limits.joinTimeoutMs);
  try {
    const [grant = {}] = await authorizeRooms(topic, member, [name], wallMs, patience);
    room = rooms.hold(kind, name, pathOf(kind.topic, name));
    checkPlaces(topic, entry, member.size, [room], limits);
    if (!room.isReady) await patience.of(room.ready);
    const [found] = await begin(topic, [room], undefined, patience);
    if (member.isOver) throw new ConnectError("the call has ended", Code.Canceled);
    checkPlaces(topic, entry, member.size, [room], limits);
    if (found !== undefined && member.placeIn(name) === undefined) {
      const membership = member.enterAlso(room, grant, found.beginning, found.state);
      member.wake();
      return membership;
    }
  } catch (reason) {
    if (room !== undefined) rooms.release(room);
    throw reason;
  } finally {
    patience.end();
  }
  rooms.release(room);
  return undefined;
}

interface Found {
  readonly beginning: Beginning;
  /** Messages that are the state of the room. */
  readonly state: readonly Message[];
}

/** Where a call begins in each of its rooms. No promise where nothing has to be read for that, as for most calls. */
function begin(
  { kind, initial }: JoinedTopic,
  held: readonly Room[],
  asked: JoinedBy["asked"],
  patience: Patience,
): Promise<readonly Found[]> | readonly Found[] {
  const isNew = !kind.hasHistory || (asked === undefined && initial === 0);
  if (isNew && kind.snapshot === undefined) {
    return held.map(({ ring }) => ({ beginning: withoutHistory(ring), state: none }));
  }
  const all = held.map(async (room, place): Promise<Found> => {
    const own = asked === undefined || asked === "unknown" ? asked : asked[place];
    const beginning = await beginningOf(room, own, initial);
    if (beginning.result === "recovered" || kind.snapshot === undefined) return { beginning, state: [] };
    return { beginning, state: await kind.snapshot(room.name) };
  });
  return patience.of(Promise.all(all));
}

function resultOf(found: readonly Found[]): Beginning["result"] {
  const results = new Set(found.map(({ beginning }) => beginning.result));
  return results.has("reset") ? "reset" : results.has("recovered") ? "recovered" : "fresh";
}

/** The positions that a client has; undefined for none. */
function askedOf(context: CallContext, vector: PositionVector): readonly Position[] | "unknown" | undefined {
  const text = context.requestField(lastEventIdHeader) ?? "";
  return text === "" ? undefined : (vector.parse(text) ?? "unknown");
}

/** @throws ConnectError RESOURCE_EXHAUSTED where the rooms, or the connection, take no more */
function checkPlaces(
  { maxMembers }: JoinedTopic,
  entry: Entry,
  before: number,
  held: readonly Room[],
  limits: JoinLimits,
): void {
  checkCounts(before, held.length, entry, limits);
  const full = held.find(({ size }) => maxMembers > 0 && size >= maxMembers);
  if (full !== undefined) throw tooManyRooms(`the room ${JSON.stringify(full.name)} is full`);
}

/** @param before how many rooms the call is in. @throws ConnectError RESOURCE_EXHAUSTED */
function checkLimits(before: number, count: number, entry: Entry, limits: JoinLimits, nowMs: number): void {
  checkCounts(before, count, entry, limits);
  const { joinsPerSecond } = limits;
  if (joinsPerSecond === 0) return;
  // A token bucket as one number, the time at which it is full again.
  const intervalMs = 1_000 / joinsPerSecond;
  const fullAtMs = Math.max(entry.joinsFullAtMs, nowMs) + count * intervalMs;
  const lateMs = fullAtMs - nowMs - burst * 1_000;
  if (lateMs > 0) throw tooManyRooms("the connection joins rooms too often", lateMs);
  entry.joinsFullAtMs = fullAtMs;
}

/** As `checkLimits`, whatever the joins of the last second were. */
function checkCounts(before: number, count: number, entry: Entry, limits: JoinLimits): void {
  const { maxRoomsPerCall, maxRoomsPerConnection } = limits;
  if (before + count > maxRoomsPerCall) throw tooManyRooms(`a call joins at most ${maxRoomsPerCall} rooms`);
  if (entry.memberships + count > maxRoomsPerConnection) {
    throw tooManyRooms(`the calls of a connection are in at most ${maxRoomsPerConnection} rooms`);
  }
}
