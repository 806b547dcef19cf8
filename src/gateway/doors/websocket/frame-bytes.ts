import { SharedBytes } from "../../../core/wire/shared-bytes.ts";

/** The largest head of a frame with a message of less than 64 KiB, and of any frame. */
const headBytes = 4;
const longHeadBytes = 10;

/** How many bytes `putFrame` may need for a message of less than 64 KiB. */
export function reservedBytes(message: string | Buffer): number {
  return headBytes + 3 * message.length;
}

/** Writes a final, unmasked frame (RFC 6455 section 5.2) of less than 64 KiB at `start`; returns its end. */
export function putFrame(into: Buffer, message: string | Buffer, start: number): number {
  const isText = typeof message === "string";
  let begin = start + (message.length > 125 ? 4 : 2);
  const length = isText ? into.write(message, begin) : message.copy(into, begin);
  if (length > 125 && begin === start + 2) {
    into.copyWithin(start + 4, begin, begin + length); // Characters of several bytes made the head longer.
    begin = start + 4;
  }
  putHead(into, start, length, isText);
  return begin + length;
}

/** The frame of a message that many sockets are sent. */
export function sharedFrame(message: string | Buffer): SharedBytes {
  const isText = typeof message === "string";
  const length = isText ? Buffer.byteLength(message) : message.length;
  const begin = length > 65_535 ? longHeadBytes : length > 125 ? 4 : 2;
  const frame = Buffer.allocUnsafeSlow(begin + length); // Not a part of a larger one, which it would keep.
  putHead(frame, 0, length, isText);
  if (isText) frame.write(message, begin);
  else message.copy(frame, begin);
  return SharedBytes.of(frame);
}

function putHead(into: Buffer, start: number, length: number, isText: boolean): void {
  into[start] = isText ? 0x81 : 0x82;
  if (length > 65_535) {
    into[start + 1] = 127;
    into.writeBigUInt64BE(BigInt(length), start + 2);
  } else if (length > 125) {
    into[start + 1] = 126;
    into.writeUInt16BE(length, start + 2);
  } else {
    into[start + 1] = length;
  }
}
