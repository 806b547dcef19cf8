import { create } from "@bufbuild/protobuf";
import { type PresenceEntry, PresenceEntrySchema } from "../../../gen/ts_ms/hub/v1/presence_pb.ts";
import { keyOf, ownerOf, type Share } from "./present.ts";

/** What a node says of one user in one room. */
export interface Said {
  readonly path: string;
  /** As `keyOf`. */
  readonly key: string;
  readonly share: Share;
  readonly atOnce: boolean;
}

/** The most bytes of entries in one frame, about. */
const frameBytes = 128 * 1024;
/** What an entry has beside its texts and its info, about, in bytes. */
const entryBytes = 48;

export function entryOf({ path, key, share, atOnce }: Said): PresenceEntry {
  const { connections, joinedAtMs, info, infoNumber } = share;
  const { user = "", connection = "" } = ownerOf(key);
  return create(PresenceEntrySchema, {
    room: path,
    user,
    connection,
    connections,
    joinedAtMs: BigInt(Math.round(joinedAtMs)),
    infoNumber: BigInt(Math.round(infoNumber)),
    atOnce,
    ...(info !== undefined && { info }),
  });
}

/** @param node which has said it */
export function saidOf(node: string, entry: PresenceEntry): Said {
  const { room: path, user, connection, connections, joinedAtMs, info, infoNumber, atOnce } = entry;
  const key = keyOf(connection === "" ? user : undefined, connection);
  const share = {
    key,
    node,
    connections,
    joinedAtMs: Number(joinedAtMs),
    info,
    infoNumber: Number(infoNumber),
  };
  return { path, key, share, atOnce };
}

/** Divides entries into frames that every bus takes; none for no entries. */
export function* framesOf(entries: Iterable<PresenceEntry>): Generator<readonly PresenceEntry[]> {
  let frame: PresenceEntry[] = [];
  let bytes = 0;
  for (const entry of entries) {
    const { room, user, connection, info } = entry;
    bytes += entryBytes + room.length + user.length + connection.length + (info?.value.length ?? 0);
    frame.push(entry);
    if (bytes < frameBytes) continue;
    yield frame;
    frame = [];
    bytes = 0;
  }
  if (frame.length > 0) yield frame;
}
