import type { ChannelRoll } from "../../../core/workers/channel-roll.ts";
import type { RoomCopy } from "./owned-room.ts";
import type { OwnedRooms } from "./owned-rooms.ts";
import { idsOf, ownerOf, pairOf } from "./rendezvous.ts";
import type { CursorCopy } from "./worker-frame.ts";

/** What is sent to its new owner at once. */
export interface MovedPage {
  readonly rooms: readonly RoomCopy[];
  readonly cursors: readonly CursorCopy[];
}

/** With so many bytes a page is full. */
const pageBytes = 128 * 1024;

/** The most cursors of a page. */
const cursorsAtOnce = 500;

/**
 * What a process has that belongs to others, in pages. Each is made when the one before is taken.
 *
 * @param id of the process
 * @param before the last roll by which all were settled; undefined for none
 */
export function* pagesFor(
  id: number,
  owned: OwnedRooms,
  roll: ChannelRoll,
  before: ChannelRoll | undefined,
): Iterable<readonly [to: number, MovedPage]> {
  let rooms: RoomCopy[] = [];
  let bytes = 0;
  const foreign = Map.groupBy(owned.rooms, (room) => ownerOf(room, roll.live));
  for (const [to, paths] of foreign) {
    if (to === undefined || to === id) continue;
    for (const path of paths) {
      const copy = owned.copyOf(path);
      if (copy === undefined) continue;
      rooms.push(copy);
      bytes += copy.kept.reduce((sum, { record }) => sum + record.byteLength, 200);
      if (bytes < pageBytes) continue;
      yield [to, { rooms, cursors: [] }];
      [rooms, bytes] = [[], 0];
    }
    if (rooms.length > 0) yield [to, { rooms, cursors: [] }];
    [rooms, bytes] = [[], 0];
  }
  yield* cursorPages(id, owned, roll, before);
}

/** Cursors for processes that have not had them. */
function* cursorPages(
  id: number,
  owned: OwnedRooms,
  roll: ChannelRoll,
  before: ChannelRoll | undefined,
): Iterable<readonly [to: number, MovedPage]> {
  const due = new Map<number, CursorCopy[]>();
  for (const key of owned.cursors) {
    const had = pairOf(key, before);
    // The first one that is there still says what it has; without a roll before it has come here just now.
    const sender = had.find((member) => member !== undefined && idsOf(roll).includes(member)) ?? id;
    const copy = owned.copyOfCursor(key);
    if (sender !== id || copy === undefined) continue;
    for (const to of pairOf(key, roll)) {
      if (to === undefined || to === id || had.includes(to)) continue;
      due.set(to, [...(due.get(to) ?? []), copy]);
    }
  }
  for (const [to, cursors] of due)
    for (let first = 0; first < cursors.length; first += cursorsAtOnce)
      yield [to, { rooms: [], cursors: cursors.slice(first, first + cursorsAtOnce) }];
}
