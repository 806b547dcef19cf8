import { create, type Message, type MessageInitShape } from "@bufbuild/protobuf";
import { type Any, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type PresenceEvent,
  PresenceEventSchema,
  PresenceKind,
  type PresenceMember,
  PresenceMemberSchema,
} from "../../../gen/ts_ms/hub/v1/events_pb.ts";
import { type Known, ownerOf } from "./present.ts";

/** Who is in a room, as its watchers know it. */
export interface PresenceSnapshot {
  /** In the order in which they have come; none where the room has more than `maxMembers`. */
  readonly members: readonly PresentMember[];
  /** How many they are; each connection without a user is one. */
  readonly users: number;
  /** How many connections they have. */
  readonly connections: number;
}

/** A user in a room, or a connection without a user. */
export interface PresentMember {
  /** Undefined for a connection without a user. */
  readonly user: string | undefined;
  /** Id of a connection without a user; undefined with a user. */
  readonly connection: string | undefined;
  /** How many connections of the user are in the room, on all nodes. */
  readonly connections: number;
  /** What `authorize` has granted, or `setInfo` has set; undefined for nothing. */
  readonly info: Any | undefined;
  readonly joinedAt: Date;
}

/** What a change is to watchers. */
export type Kind = "SYNC" | "JOIN" | "LEAVE" | "UPDATE";

/** An event for watchers, made once for all of them. */
export interface Told {
  readonly event: PresenceEvent;
  /** The message of the topic that has it; undefined where its messages have no field for it. */
  readonly message: Message | undefined;
}

/** The most members of one event. */
export const pageSize = 500;

export function memberOf({ key, connections, info, joinedAtMs }: Known): PresentMember {
  return { ...ownerOf(key), connections, info, joinedAt: new Date(joinedAtMs) };
}

export function eventOf(
  kind: Kind,
  members: readonly Known[],
  more: Omit<MessageInitShape<typeof PresenceEventSchema>, "$typeName" | "kind" | "members">,
): PresenceEvent {
  return create(PresenceEventSchema, { ...more, kind: PresenceKind[kind], members: members.map(messageOf) });
}

/** A member as clients of the hub's service see it. */
export function toPresenceMember(member: PresentMember): PresenceMember {
  const { user = "", connection = "", connections, info, joinedAt } = member;
  const known = { user, connection, connections, joinedAt: timestampFromMs(joinedAt.getTime()) };
  return create(PresenceMemberSchema, { ...known, ...(info !== undefined && { info }) });
}

function messageOf({ key, connections, info, joinedAtMs }: Known): PresenceMember {
  const { user = "", connection = "" } = ownerOf(key);
  const joinedAt = timestampFromMs(joinedAtMs);
  return create(PresenceMemberSchema, {
    user,
    connection,
    connections,
    joinedAt,
    ...(info !== undefined && { info }),
  });
}
