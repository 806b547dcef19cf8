import type { Message } from "@bufbuild/protobuf";
import type { CallContext } from "../core/call/context.ts";
import { Code, ConnectError } from "../core/errors/errors.ts";
import type { Clock } from "../core/time/clock.ts";
import type { Entry } from "./connections/entry.ts";
import { compileFilter, type Wants } from "./room/header-filter.ts";
import { Member, type MemberOwner } from "./room/member.ts";
import { checkRoom } from "./room/room-key.ts";
import { tooManyRooms } from "./rooms.ts";
import type { Rooms } from "./rooms.ts";
import type { JoinGrant, JoinOptions, TopicInit } from "./topic-options.ts";
import type { TopicShape } from "./topic-shape.ts";

/** The limits of joins. */
export interface JoinLimits {
  /** The most rooms that the calls of a connection are in. Default: 128. */
  readonly maxRoomsPerConnection: number;
  /** The most rooms of a call. Default: 16. */
  readonly maxRoomsPerCall: number;
  /** Joins of one connection in a second, four times as many at once; 0 for any number. Default: 50. */
  readonly joinsPerSecond: number;
  /** How long `authorize` may take, in milliseconds: UNAVAILABLE beyond. Default: 5,000. */
  readonly joinTimeoutMs: number;
  /** Bytes of messages for one call alone that wait for it. Default: 64 KiB. */
  readonly maxDirectBytes: number;
}

/** A topic as those see it that join it. */
export interface JoinedTopic {
  readonly shape: TopicShape;
  readonly maxMembers: number;
  readonly ringSize: number;
  readonly authorize: TopicInit["authorize"];
}

/** A call that joins rooms. */
export interface Joining {
  readonly entry: Entry;
  readonly context: CallContext;
  readonly rooms: readonly string[];
  readonly request: Message | undefined;
  readonly options: JoinOptions;
}

const burst = 4;

/**
 * **The story of a join**: limits, whether the client may, its place in the rooms. Whatever step is under way when the
 * call ends, the call is in no room behind it.
 *
 * @returns the member that reads the rooms
 * @throws ConnectError by which the call is refused
 */
export async function join(
  topic: JoinedTopic,
  joining: Joining,
  rooms: Rooms,
  limits: JoinLimits,
  clock: Clock,
  owner: MemberOwner,
): Promise<Member> {
  const { entry, context } = joining;
  const names = [...new Set(joining.rooms)];
  for (const name of names) checkRoom(name, "room", topic.shape.isNamed);
  checkLimits(names.length, entry, limits, clock.nowMs());
  const own = joining.options.filter && compileFilter(joining.options.filter);
  const grants = await authorized(topic, joining, names, limits, clock);
  if (context.reason !== undefined) throw context.reason;
  checkLimits(names.length, entry, { ...limits, joinsPerSecond: 0 }, 0); // Other calls may have joined meanwhile.
  for (const name of names) {
    const { maxMembers, shape } = topic;
    if (maxMembers > 0 && (rooms.find(shape.name, name)?.size ?? 0) >= maxMembers) {
      throw tooManyRooms(`the room ${JSON.stringify(name)} is full`);
    }
  }
  const opened = names.map((name) => rooms.open(topic.shape.name, name, topic.ringSize));
  const member = new Member(entry, context, limits.maxDirectBytes, owner);
  for (const [place, room] of opened.entries()) member.enter(room, both(own, grants[place]));
  return member;
}

/** @throws ConnectError RESOURCE_EXHAUSTED */
function checkLimits(count: number, entry: Entry, limits: JoinLimits, nowMs: number): void {
  const { maxRoomsPerCall, maxRoomsPerConnection, joinsPerSecond } = limits;
  if (count > maxRoomsPerCall) throw tooManyRooms(`a call joins at most ${maxRoomsPerCall} rooms`);
  if (entry.memberships + count > maxRoomsPerConnection) {
    throw tooManyRooms(`the calls of a connection are in at most ${maxRoomsPerConnection} rooms`);
  }
  if (joinsPerSecond === 0) return;
  // A token bucket as one number, the time at which it is full again.
  const intervalMs = 1_000 / joinsPerSecond;
  const fullAtMs = Math.max(entry.joinsFullAtMs, nowMs) + count * intervalMs;
  if (fullAtMs - nowMs > burst * 1_000) throw tooManyRooms("the connection joins rooms too often");
  entry.joinsFullAtMs = fullAtMs;
}

/** What each room's `authorize` grants. Rejects with what one of them throws, or UNAVAILABLE when they take too long. */
async function authorized(
  { authorize }: JoinedTopic,
  { entry, context, request }: Joining,
  names: readonly string[],
  { joinTimeoutMs }: JoinLimits,
  clock: Clock,
): Promise<readonly (Wants | undefined)[]> {
  if (authorize === undefined) return [];
  const { identity, user } = entry;
  const asked = names.map(async (room) => {
    const { signal } = context;
    const granted = await authorize({ user, identity, room, request, connection: entry.describe(), signal });
    return wantsOf(granted ?? {});
  });
  const late = Promise.withResolvers<never>();
  const cancel = clock.after(joinTimeoutMs, () =>
    late.reject(new ConnectError("the decision on the room takes too long", Code.Unavailable)),
  );
  try {
    return await context.race(Promise.race([Promise.all(asked), late.promise]));
  } finally {
    cancel();
  }
}

function wantsOf({ filter }: JoinGrant): Wants | undefined {
  return filter && compileFilter(filter);
}

function both(first: Wants | undefined, second: Wants | undefined): Wants | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  return (headers) => first(headers) && second(headers);
}
