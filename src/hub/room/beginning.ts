import type { Beginning } from "./membership.ts";
import type { Position } from "./position.ts";
import type { ResetReason } from "./resets.ts";
import type { Following } from "./room-history.ts";
import type { Ring } from "./ring.ts";
import type { Room } from "./room.ts";

/** What a member that comes without a position gets first of the history. */
export type Initial = number | "LATEST_BY_KEY";

/**
 * Where a member begins in a room that is ready: behind the position that it has, if nothing is missing since then.
 *
 * @param asked undefined for a member without a position, `unknown` for one whose position is of no use
 */
export async function beginningOf(
  room: Room,
  asked: Position | "unknown" | undefined,
  initial: Initial,
): Promise<Beginning> {
  if (!room.kind.hasHistory || asked === undefined) return fresh(room, initial);
  if (asked === "unknown") return reset(room, initial, "UNKNOWN");
  if (!isOf(room, asked)) await catchUp(room, asked);
  if (!isOf(room, asked)) return reset(room, initial, "UNKNOWN");
  const following = await room.history.after(asked, room.kind.replayMax);
  if (following === "many") return reset(room, initial, "REPLAY_LIMIT");
  if (following === "lost") return reset(room, initial, isOf(room, asked) ? "EXPIRED" : "UNKNOWN");
  const { entries: replay, number } = following;
  return { result: "recovered", reason: undefined, position: asked, replay, number };
}

/** How long this process may be behind the bus, in milliseconds. */
const behindMs = 1_000;

/**
 * A client that comes from another node may have more than has come here yet, and a room that has begun anew elsewhere is
 * about to begin anew here: then it would be reset for nothing, or twice.
 */
async function catchUp(room: Room, asked: Position): Promise<void> {
  const top = await room.history.top();
  if (top === undefined) return;
  const isReached = top.epoch === asked.epoch && asked.offset <= top.offset;
  if (isReached) await room.reached(asked, behindMs);
  else if (top.epoch !== room.ring.top.epoch) await room.reached({ epoch: top.epoch, offset: 0 }, behindMs);
}

/** That of what is published from now on. */
export function withoutHistory({ top: position, next: number }: Ring): Beginning {
  return { result: "fresh", reason: undefined, position, replay: [], number };
}

async function fresh(room: Room, initial: Initial): Promise<Beginning> {
  const { history, ring, kind } = room;
  const nothing = withoutHistory(ring);
  if (!kind.hasHistory || initial === 0) return nothing;
  const following: Following = await (initial === "LATEST_BY_KEY"
    ? history.latestByKey()
    : history.last(initial));
  const [first] = following.entries;
  if (first?.position === undefined) return { ...nothing, number: following.number };
  const { epoch, offset } = first.position;
  // Who has not got all of them is to get them by this position, too.
  return {
    ...nothing,
    position: { epoch, offset: offset - 1 },
    replay: following.entries,
    number: following.number,
  };
}

async function reset(room: Room, initial: Initial, reason: ResetReason): Promise<Beginning> {
  return { ...(await fresh(room, initial)), result: "reset", reason };
}

/** Whether a position is one that the room has had in its epoch. */
function isOf({ ring }: Room, { epoch, offset }: Position): boolean {
  return epoch === ring.top.epoch && offset <= ring.top.offset;
}
