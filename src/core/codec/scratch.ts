import type { Registry } from "@bufbuild/protobuf";

/**
 * What generated code throws where its input is not of the plain kind that it handles, good or bad. The text readers and
 * writers then process the whole input once more, and report what is wrong with it, if anything is.
 */
export const irregular: Error = new Error("the input is not of the plain kind");

/** How many messages may lie in one another on the way of generated code; the other way refuses what is too deep. */
export const deepest = 90;

/** What is thrown where the room for the output is full. */
export const full: Error = new Error("the output needs more room");

/** Further results of the functions that take: the position behind what they took, the halves of 64-bit integers, and others. */
export const seen: {
  pos: number;
  low: number;
  high: number;
  /** Whether a message had unknown fields. */
  unknown: boolean;
  /** The types of this conversion. */
  registry: Registry | undefined;
  /** How many more entries of maps and members of free-form objects the input may have. */
  left: number;
  /** How much room the piece needs that did not fit, from the beginning of the output; 0 where that is not known. */
  needed: number;
} = { pos: 0, low: 0, high: 0, unknown: false, registry: undefined, left: 0, needed: 0 };

/** Room that every function may write behind its own output without looking. */
export const slack = 64;

const firstRoom = 65_536;
/** Larger rooms are given back after their use. */
export const keptRoom = 1 << 20;
const largestRoom = 1 << 29;

let room = Buffer.allocUnsafeSlow(firstRoom);
let view = new DataView(room.buffer);
let busy = false;

/** `full`, which also asks for enough room at once: a detour that made the piece should not run twice. */
export function fullBy(end: number): Error {
  seen.needed = end + slack;
  return full;
}

/** Writes from position 0 on and returns the end. */
export type WriteOutput = (room: Buffer, view: DataView) => number;

/**
 * Runs `write` with a room that is large enough, and returns what `take` makes of the bytes. Undefined where the output
 * is irregular, for whatever reason.
 *
 * @param expectedBytes How long the output may well be: where the room turns out to be too small, everything is
 *   written once more.
 * @param mostBytes An output that needs a larger room is irregular.
 */
export function withScratch<T>(
  write: WriteOutput,
  take: (room: Buffer, end: number) => T,
  expectedBytes = 0,
  mostBytes = largestRoom,
): T | undefined {
  if (busy) return undefined;
  busy = true;
  try {
    if (expectedBytes > room.length) enlarge(expectedBytes);
    for (;;) {
      seen.needed = 0;
      const end = attempt(write);
      if (end === undefined) return undefined;
      if (end <= room.length) return take(room, end);
      if (room.length >= mostBytes || seen.needed > mostBytes) return undefined;
      enlarge(Math.max(room.length * 4, seen.needed));
    }
  } finally {
    busy = false;
    if (room.length > keptRoom) useRoom(firstRoom);
  }
}

function enlarge(bytes: number): void {
  let size = room.length;
  while (size < bytes && size < largestRoom) size *= 4;
  useRoom(size);
}

function useRoom(bytes: number): void {
  room = Buffer.allocUnsafeSlow(bytes);
  view = new DataView(room.buffer);
}

function attempt(write: WriteOutput): number | undefined {
  try {
    return write(room, view);
  } catch (error) {
    return error === full ? Infinity : undefined;
  }
}

/** A copy of the bytes of a room. */
export function copyBytes(bytes: Buffer, end: number): Buffer<ArrayBuffer> {
  const copy = Buffer.allocUnsafe(end);
  bytes.copy(copy, 0, 0, end);
  return copy;
}

/** The same bytes as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
