import { digestOf, otherQuery, sizeOf } from "./connections/listing.ts";
import { turns } from "./connections/turns.ts";
import type { Rooms } from "./rooms.ts";

/** A room with members. */
export interface RoomInfo {
  /** As selectors write it: `topic/room`, or `topic` for the room without a name. */
  readonly room: string;
  readonly topic: string;
  /** Without the topic; empty for the room without a name. */
  readonly name: string;
  /** Calls that are in it. */
  readonly members: number;
}

/** A part of the list of rooms. */
export interface RoomPage {
  readonly rooms: readonly RoomInfo[];
  /** What the next page begins with; undefined for the last one. */
  readonly nextPageToken: string | undefined;
  /** Nodes that have not answered. */
  readonly unreachable: readonly string[];
}

/** Which rooms. */
export interface RoomsQuery {
  /** Default: those of all topics. */
  readonly topic?: string | undefined;
  /** How many there are on a page, at most 1,000. Default: 100. */
  readonly pageSize?: number;
  /** `nextPageToken` of the page before. Default: the first page. */
  readonly pageToken?: string;
}

/** Which rooms are on a page. */
export interface RoomsAsked {
  readonly topic: string | undefined;
  readonly query: string;
  readonly size: number;
  /** How many of a node are looked for. */
  readonly limit: number;
  /** The last one of the page before; undefined for the first page. */
  readonly after: string | undefined;
}

/** @throws ConnectError INVALID_ARGUMENT for a token of another query */
export function roomsAsked({ topic, pageSize = 0, pageToken = "" }: RoomsQuery): RoomsAsked {
  const size = sizeOf(pageSize);
  const query = digestOf(topic ?? "");
  if (pageToken !== "" && !pageToken.startsWith(`${query}.`)) throw otherQuery();
  const after = pageToken === "" ? undefined : pageToken.slice(query.length + 1);
  return { topic, query, size, limit: size + 1, after };
}

/** The first rooms with members of this node behind one, in the order of their texts. */
export async function roomsOf(
  rooms: Rooms,
  topic: string | undefined,
  after: string | undefined,
  limit: number,
): Promise<readonly RoomInfo[]> {
  let found: RoomInfo[] = [];
  const first = (): RoomInfo[] => found.sort(byRoom).slice(0, limit);
  await turns(rooms, ({ path: room, topic: ofTopic, name, size: members }) => {
    if ((topic !== undefined && topic !== ofTopic) || (after !== undefined && room <= after)) return;
    found.push({ room, topic: ofTopic, name, members });
    if (found.length > 4 * limit) found = first();
  });
  return first();
}

/**
 * The page of what nodes have found. A room that is there while all pages are read is on one of them, with the members
 * of all nodes.
 *
 * @param lists the first rooms of each node, in the order of their texts
 */
export function joinRooms(
  lists: readonly (readonly RoomInfo[])[],
  { query, size, limit }: RoomsAsked,
  unreachable: readonly string[],
): RoomPage {
  const byPath = new Map<string, RoomInfo>();
  for (const info of lists.flat()) {
    const known = byPath.get(info.room);
    byPath.set(info.room, known === undefined ? info : { ...info, members: known.members + info.members });
  }
  const page = [...byPath.values()].sort(byRoom).slice(0, limit);
  const last = page[size - 1];
  const hasMore = page.length > size && last !== undefined;
  return {
    rooms: page.slice(0, size),
    nextPageToken: hasMore ? `${query}.${last.room}` : undefined,
    unreachable,
  };
}

function byRoom(one: RoomInfo, other: RoomInfo): number {
  return one.room < other.room ? -1 : 1;
}
