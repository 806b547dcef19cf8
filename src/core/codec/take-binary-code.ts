import { ScalarType } from "@bufbuild/protobuf";
import { skipValue, takeTag, takeTime, takeVarint32, takeVarint64, takeZigzag64 } from "./take-binary.ts";

/**
 * What all code that takes protobuf bytes uses, by name. It has `s` for the input, `sv` for its view, `i` for the
 * position, `e` for the end of the message.
 */
export const takeBinaryBindings = { skipValue, takeTag, takeTime, takeVarint32, takeVarint64, takeZigzag64 };

/** Code that takes the tag at `i` into `t`, -1 at the end; `g` is where it begins. */
export const nextTag =
  "g = i; if (i < e) { t = s[i++]; if (t > 127) { t = takeTag(s, i, t); i = seen.pos; } } else t = -1;";

/** Code that takes a length into `n`. */
export const takeLength =
  "n = s[i++]; if (n > 127) { n = takeVarint32(s, i, n); i = seen.pos; } if (!(i + n <= e)) throw irregular;";

const takeFixed64 = "seen.low = sv.getInt32(i, true); seen.high = sv.getInt32(i + 4, true); i += 8;";
const takeUint32 = "x = s[i++]; if (x > 127) { x = takeVarint32(s, i, x); i = seen.pos; }";

/** Code that takes an `int32` or the number of an enum into `x`. */
export const takeInt32 = "x = s[i++]; if (x > 127) { x = takeVarint32(s, i, x) | 0; i = seen.pos; }";

/** Code that takes a scalar into `x`; of 64-bit integers the halves into `seen`, of strings and bytes the length into `n`. */
export function takeScalar(type: ScalarType): string {
  switch (type) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return takeLength;
    case ScalarType.BOOL:
      return "x = s[i++]; if (x > 127) throw irregular;";
    case ScalarType.DOUBLE:
      return "x = sv.getFloat64(i, true); i += 8;";
    case ScalarType.FLOAT:
      return "x = sv.getFloat32(i, true); i += 4;";
    case ScalarType.INT32:
      return takeInt32;
    case ScalarType.UINT32:
      return takeUint32;
    case ScalarType.SINT32:
      return `${takeUint32} x = (x >>> 1) ^ -(x & 1);`;
    case ScalarType.SFIXED32:
      return "x = sv.getInt32(i, true); i += 4;";
    case ScalarType.FIXED32:
      return "x = sv.getUint32(i, true); i += 4;";
    case ScalarType.SINT64:
      return "takeZigzag64(s, i); i = seen.pos;";
    case ScalarType.INT64:
    case ScalarType.UINT64:
      return "takeVarint64(s, i); i = seen.pos;";
    case ScalarType.SFIXED64:
    case ScalarType.FIXED64:
      return takeFixed64;
  }
}
