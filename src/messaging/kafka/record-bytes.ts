import { varintBytes, writeVarint } from "../../core/wire/varint.ts";
import type { OutgoingMessage } from "../broker.ts";
import { eachRecordHeader, type RecordParts } from "./kafka-message.ts";

/** Longer texts are written by the engine, shorter ones are faster by hand. */
const longestByHand = 96;
/** What UTF-8 makes of one character at the most. */
const bytesPerChar = 3;
/** What the length of a name takes at the most. */
const lengthBytes = 5;
/** The bytes of names of headers, each behind its length. */
const nameBytes = new Map<string, Uint8Array>();
/** Senders choose the names of extensions and headers: so many are kept. */
const mostNames = 1_000;

/** The most bytes that `putRecord` writes. */
export function mostRecordBytes({ value, bytes }: RecordParts): number {
  const plain = value?.length ?? 0;
  return plain + (bytes - plain) * bytesPerChar;
}

/**
 * Writes a record of version 2, see "Record Batch" of Kafka's documentation of its formats.
 *
 * @param at where it begins
 * @param delta its place in the batch
 * @returns where it ends
 */
export function putRecord(into: Buffer, at: number, record: RecordParts, delta: number): number {
  // Its length stands before it, and is known behind it. Most records have from 64 to 8,191 bytes.
  const start = at + 2;
  into[start] = 0; // Attributes.
  into[start + 1] = 0; // The time is that of the batch.
  let end = putVarInt(into, start + 2, delta);
  end = putBytes(into, end, record.key);
  end = putBytes(into, end, record.value);
  end = putHeaders(into, end, record.message);
  return putLength(into, at, 2, end);
}

function putHeaders(into: Buffer, at: number, message: OutgoingMessage | undefined): number {
  let end = at + 1;
  let count = 0;
  if (message !== undefined) {
    eachRecordHeader(message, (name, value) => {
      count++;
      const known = bytesOf(name);
      for (let place = 0; place < known.length; place++) into[end + place] = known[place] ?? 0;
      end = putText(into, end + known.length, value);
    });
  }
  return putBefore(into, at, 1, end, count);
}

function putBytes(into: Buffer, at: number, given: string | Uint8Array | undefined): number {
  if (given === undefined) return putVarInt(into, at, -1);
  if (typeof given === "string") return putText(into, at, given);
  const start = putVarInt(into, at, given.length);
  into.set(given, start);
  return start + given.length;
}

/** Writes a text behind its length. */
function putText(into: Buffer, at: number, text: string): number {
  const { length } = text;
  if (length > longestByHand) {
    const start = at + 2;
    return putLength(into, at, 2, start + into.write(text, start));
  }
  // As many bytes as characters, as long as all are of ASCII.
  const start = putVarInt(into, at, length);
  for (let place = 0; place < length; place++) {
    const code = text.charCodeAt(place);
    if (code > 0x7f) return putLength(into, at, start - at, start + into.write(text, start));
    into[start + place] = code;
  }
  return start + length;
}

/** Writes the length of what lies up to `end` into the `room` bytes before it. @returns where that ends then */
function putLength(into: Buffer, at: number, room: number, end: number): number {
  return putBefore(into, at, room, end, end - at - room);
}

/** As `putLength`, of any number. What lies behind it makes room where the number needs another one. */
function putBefore(into: Buffer, at: number, room: number, end: number, value: number): number {
  const needed = varintBytes(zigzag(value));
  if (needed !== room) into.copyWithin(at + needed, at + room, end);
  putVarInt(into, at, value);
  return end + needed - room;
}

/** Writes a signed number of 32 bits, as Protocol Buffers do. @returns where it ends */
function putVarInt(into: Buffer, at: number, value: number): number {
  return writeVarint(zigzag(value), into, at);
}

function zigzag(value: number): number {
  return ((value << 1) ^ (value >> 31)) >>> 0;
}

function bytesOf(name: string): Uint8Array {
  let bytes = nameBytes.get(name);
  if (bytes === undefined) {
    const made = Buffer.allocUnsafe(name.length * bytesPerChar + lengthBytes);
    bytes = made.subarray(0, putText(made, 0, name));
    if (nameBytes.size < mostNames) nameBytes.set(name, bytes);
  }
  return bytes;
}
