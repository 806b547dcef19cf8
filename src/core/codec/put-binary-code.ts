import { ScalarType } from "@bufbuild/protobuf";
import {
  putJsonBytes,
  putJsonText,
  putLength,
  putSigned32,
  putTime,
  putVarint32,
  putVarint64,
  putZigzag64,
} from "./put-binary.ts";
import { putBytes } from "./put-json-text.ts";

/** What all code that puts protobuf bytes uses, by name. It has `b` for the output, `v` for its view, `p` for the position. */
export const putBinaryBindings = {
  putBytes,
  putJsonBytes,
  putJsonText,
  putLength,
  putSigned32,
  putTime,
  putVarint32,
  putVarint64,
  putZigzag64,
};

/** Code that makes sure of the room that everything but strings and bytes needs. */
export const room = "if (p + slack > b.length) throw full;";

/** Code that puts a tag. */
export function putTag(number: number, type: number): string {
  let rest = ((number << 3) | type) >>> 0;
  let text = "";
  for (; rest > 0x7f; rest >>>= 7) text += `b[p++] = ${(rest & 0x7f) | 0x80}; `;
  return `${text}b[p++] = ${rest};`;
}

/** How many bytes the tags of a field have. */
export function tagSize(number: number): number {
  return putTag(number, 2).split(";").length - 1;
}

const putSmall = "if (x >= 0 && x < 128) b[p++] = x; else";
const putFixed64 = "v.setInt32(p, seen.low, true); v.setInt32(p + 4, seen.high, true); p += 8;";

/** Code that puts the number of an enum in `x`. */
export const putEnum = "p = putSigned32(x, b, p);";

/**
 * Code that puts a scalar in `x`, or the 64-bit integer in `seen`. Strings and bytes are taken, too: from the JSON
 * string at `i`, which moves behind it.
 */
export function putScalar(type: ScalarType): string {
  switch (type) {
    case ScalarType.STRING:
      return "p = putJsonText(s, i, b, p); i = seen.pos;";
    case ScalarType.BYTES:
      return "p = putJsonBytes(s, i, b, p); i = seen.pos;";
    case ScalarType.BOOL:
      return "b[p++] = x ? 1 : 0;";
    case ScalarType.DOUBLE:
      return "v.setFloat64(p, x, true); p += 8;";
    case ScalarType.FLOAT:
      return "v.setFloat32(p, x, true); p += 4;";
    case ScalarType.INT32:
      return `${putSmall} p = putSigned32(x, b, p);`;
    case ScalarType.UINT32:
      return `${putSmall} p = putVarint32(x, b, p);`;
    case ScalarType.SINT32:
      return "p = putVarint32(((x << 1) ^ (x >> 31)) >>> 0, b, p);";
    case ScalarType.SFIXED32:
      return "v.setInt32(p, x, true); p += 4;";
    case ScalarType.FIXED32:
      return "v.setUint32(p, x, true); p += 4;";
    case ScalarType.INT64:
    case ScalarType.UINT64:
      return "p = putVarint64(seen.low, seen.high, b, p);";
    case ScalarType.SINT64:
      return "p = putZigzag64(seen.low, seen.high, b, p);";
    case ScalarType.SFIXED64:
    case ScalarType.FIXED64:
      return putFixed64;
  }
}
