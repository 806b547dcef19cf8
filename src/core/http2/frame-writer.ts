import { frameFlag, frameType, headBytes } from "./frame.ts";

/** Functions that write a frame at an offset, and return the offset after it. */

/** The head of a frame. */
export function putHead(
  into: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): number {
  into[at] = length >>> 16;
  into[at + 1] = length >>> 8;
  into[at + 2] = length;
  into[at + 3] = type;
  into[at + 4] = flags;
  into[at + 5] = streamId >>> 24;
  into[at + 6] = streamId >>> 16;
  into[at + 7] = streamId >>> 8;
  into[at + 8] = streamId;
  return at + headBytes;
}

/** Bytes of a RST_STREAM or WINDOW_UPDATE frame. */
export const shortFrameBytes: number = headBytes + 4;

export function putRstStream(into: Buffer, at: number, streamId: number, code: number): number {
  return into.writeUInt32BE(code, putHead(into, at, 4, frameType.rstStream, 0, streamId));
}

/** @param streamId 0 for the connection */
export function putWindowUpdate(into: Buffer, at: number, streamId: number, increment: number): number {
  return into.writeUInt32BE(increment, putHead(into, at, 4, frameType.windowUpdate, 0, streamId));
}

/** Bytes of a PING frame. */
export const pingBytes: number = headBytes + 8;

/** A PING of our own, whose data is of no interest since any byte is an answer. */
export function putPing(into: Buffer, at: number): number {
  const start = putHead(into, at, 8, frameType.ping, 0, 0);
  return into.fill(0, start, start + 8) && start + 8;
}

/** The answer to a PING whose data begins at `start`. */
export function putPingAck(into: Buffer, at: number, data: Buffer, start: number): number {
  const from = putHead(into, at, 8, frameType.ping, frameFlag.ack, 0);
  return from + data.copy(into, from, start, start + 8);
}

/** A list of settings: identifier and value. */
export type Settings = readonly (readonly [identifier: number, value: number])[];

/** Bytes of a SETTINGS frame. */
export function settingsBytes(settings: Settings): number {
  return headBytes + 6 * settings.length;
}

export function putSettings(into: Buffer, at: number, settings: Settings): number {
  let end = putHead(into, at, 6 * settings.length, frameType.settings, 0, 0);
  for (const [identifier, value] of settings)
    end = into.writeUInt32BE(value, into.writeUInt16BE(identifier, end));
  return end;
}

export function putSettingsAck(into: Buffer, at: number): number {
  return putHead(into, at, 0, frameType.settings, frameFlag.ack, 0);
}

/** Bytes of a GOAWAY frame. */
export function goawayBytes(debug: string): number {
  return headBytes + 8 + debug.length;
}

/** @param debug ASCII */
export function putGoaway(
  into: Buffer,
  at: number,
  lastStreamId: number,
  code: number,
  debug: string,
): number {
  const start = putHead(into, at, 8 + debug.length, frameType.goaway, 0, 0);
  const end = into.writeUInt32BE(code, into.writeUInt32BE(lastStreamId, start));
  return end + into.write(debug, end, "latin1");
}
