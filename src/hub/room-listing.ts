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

/**
 * A page of the rooms with members, in the order of their texts. One that is there while all pages are read is on one of
 * them.
 *
 * @throws ConnectError INVALID_ARGUMENT for a token of another query
 */
export async function roomPage(
  rooms: Rooms,
  { topic, pageSize = 0, pageToken = "" }: RoomsQuery,
): Promise<RoomPage> {
  const size = sizeOf(pageSize);
  const query = digestOf(topic ?? "");
  if (pageToken !== "" && !pageToken.startsWith(`${query}.`)) throw otherQuery();
  const after = pageToken.slice(query.length + 1);
  let found: RoomInfo[] = [];
  const first = (): RoomInfo[] => found.sort(byRoom).slice(0, size + 1);
  await turns(rooms, ({ path: room, topic: ofTopic, name, size: members }) => {
    if ((topic !== undefined && topic !== ofTopic) || (pageToken !== "" && room <= after)) return;
    found.push({ room, topic: ofTopic, name, members });
    if (found.length > 4 * size) found = first();
  });
  const page = first();
  const last = page[size - 1];
  const hasMore = page.length > size && last !== undefined;
  return {
    rooms: page.slice(0, size),
    nextPageToken: hasMore ? `${query}.${last.room}` : undefined,
    unreachable: [],
  };
}

function byRoom(one: RoomInfo, other: RoomInfo): number {
  return one.room < other.room ? -1 : 1;
}
