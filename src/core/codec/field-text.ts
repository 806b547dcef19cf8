import { type DescField, ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { asBuffer, irregular, seen } from "./scratch.ts";
import { wireType } from "./scalar-kinds.ts";
import { skipValue, takeTag, takeVarint32, takeVarint64, takeZigzag64 } from "./take-binary.ts";

/** Takes a value at a position of bytes as text, and stores the position behind it in `seen.pos`. */
type TakeText = (from: Buffer, pos: number) => string;

/**
 * Compiles what reads a string or an integer, a field that is no list, from the protobuf bytes of its message: its text,
 * undefined where a field with presence is unset. It throws for bytes that are no message.
 */
export function fieldText(
  field: DescField & { fieldKind: "scalar" },
): (message: Uint8Array) => string | undefined {
  const { number, scalar, presence } = field;
  const tag = ((number << 3) | wireType(scalar)) >>> 0;
  const take = takeText(scalar);
  const implicit = scalar === ScalarType.STRING ? "" : "0";
  const unset = presence === FeatureSet_FieldPresence.IMPLICIT ? implicit : undefined;
  return (message) => {
    const from = asBuffer(message);
    const { length } = from;
    let text = unset;
    let at = 0;
    while (at < length) {
      let found = from[at++] ?? 0;
      if (found > 127) {
        found = takeTag(from, at, found);
        at = seen.pos;
      }
      if (found === tag) {
        text = take(from, at);
        at = seen.pos;
      } else at = skipValue(from, at, found);
      if (!(at <= length)) throw irregular;
    }
    return text;
  };
}

function takeText(scalar: ScalarType): TakeText {
  switch (scalar) {
    case ScalarType.STRING:
      return takeString;
    case ScalarType.INT32:
      return (from, pos) => String(takeFirst(from, pos) | 0);
    case ScalarType.UINT32:
      return (from, pos) => String(takeFirst(from, pos));
    case ScalarType.SINT32:
      return (from, pos) => {
        const value = takeFirst(from, pos);
        return String((value >>> 1) ^ -(value & 1));
      };
    case ScalarType.INT64:
      return (from, pos) => {
        takeVarint64(from, pos);
        return halves().readBigInt64LE().toString();
      };
    case ScalarType.UINT64:
      return (from, pos) => {
        takeVarint64(from, pos);
        return halves().readBigUInt64LE().toString();
      };
    case ScalarType.SINT64:
      return (from, pos) => {
        takeZigzag64(from, pos);
        return halves().readBigInt64LE().toString();
      };
    case ScalarType.FIXED32:
      return fixed(4, (from, pos) => from.readUInt32LE(pos));
    case ScalarType.SFIXED32:
      return fixed(4, (from, pos) => from.readInt32LE(pos));
    case ScalarType.FIXED64:
      return fixed(8, (from, pos) => from.readBigUInt64LE(pos));
    case ScalarType.SFIXED64:
      return fixed(8, (from, pos) => from.readBigInt64LE(pos));
    default:
      throw new TypeError("only strings and integers are read as text");
  }
}

const takeString: TakeText = (from, pos) => {
  const length = takeFirst(from, pos);
  const start = seen.pos;
  if (!(start + length <= from.length)) throw irregular;
  seen.pos = start + length;
  return from.toString("utf8", start, start + length);
};

function takeFirst(from: Buffer, pos: number): number {
  const byte = from[pos];
  if (byte === undefined) throw irregular;
  if (byte > 127) return takeVarint32(from, pos + 1, byte);
  seen.pos = pos + 1;
  return byte;
}

function fixed(bytes: number, read: (from: Buffer, pos: number) => number | bigint): TakeText {
  return (from, pos) => {
    if (pos + bytes > from.length) throw irregular;
    const text = read(from, pos).toString();
    seen.pos = pos + bytes;
    return text;
  };
}

const eight = Buffer.alloc(8);

/** The 64 bits of the two halves that were taken. */
function halves(): Buffer {
  eight.writeInt32LE(seen.low | 0, 0);
  eight.writeInt32LE(seen.high | 0, 4);
  return eight;
}
