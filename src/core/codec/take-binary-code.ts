import { ScalarType } from "@bufbuild/protobuf";
import { putBoolean, scalarQuote } from "./put-json-code.ts";
import type { WriteFormat } from "./write-message.ts";

/** Code that reads a value into `x`, `n` and `seen`, and code that writes it behind `open`. */
export interface ValueCode {
  /** The wire type. */
  readonly type: number;
  readonly open: string;
  readonly read: string;
  readonly write: string;
}

/** Code that reads the tag at `i` into `t`, -1 at the end; `g` is where it begins. */
export const nextTag =
  "g = i; if (i < e) { t = s[i++]; if (t > 127) { t = takeTag(s, i, t); i = seen.pos; } } else t = -1;";
/** Code that reads a length into `n`. */
export const readLength =
  "n = s[i++]; if (n > 127) { n = takeVarint32(s, i, n); i = seen.pos; } if (!(i + n <= e)) throw irregular;";
const readFixed64 = "seen.low = sv.getInt32(i, true); seen.high = sv.getInt32(i + 4, true); i += 8;";
const putSmall = "if (x >= 0 && x < 10) b[p++] = 48 + x; else p = putInteger(x, b, p);";

/** Code that reads a varint into a variable, with code that makes it what it is. */
export function readVarint(name: string, then: string): string {
  return `${name} = s[i++]; if (${name} > 127) { ${name} = takeVarint32(s, i, ${name})${then}; i = seen.pos; }`;
}

/** A wrapper with its value, or empty at the default. */
export function wrapperCode(type: ScalarType, format: WriteFormat): ValueCode {
  const value = scalarCode(type, format);
  const quote = value.open === "" ? "" : "b[p++] = 34;";
  const zero = type === ScalarType.BOOL ? putBoolean("false") : "b[p++] = 48;";
  const absent = type === ScalarType.STRING || type === ScalarType.BYTES ? "" : zero;
  return {
    type: 2,
    open: value.open,
    read: `${readLength} const w = i + n;`,
    write: `if (n === 0) { ${absent} ${quote} } else { if (s[i++] !== ${(1 << 3) | value.type}) throw irregular; ${value.read} ${value.write} if (i !== w) throw irregular; }`,
  };
}

/** Code for a scalar; `writeBare` leaves out the quote behind it. */
export function scalarCode(type: ScalarType, format: WriteFormat): ValueCode & { writeBare: string } {
  const quote = scalarQuote(type, format);
  const close = quote === "" ? "" : "b[p++] = 34;";
  const value = (wire: number, read: string, put: string): ValueCode & { writeBare: string } => ({
    type: wire,
    open: quote,
    read,
    write: `${put} ${close}`,
    writeBare: put,
  });
  const long = (wire: number, read: string, signed: boolean): ReturnType<typeof value> => {
    const bare = `p = ${signed ? "putInt64" : "putUint64"}(seen.low, seen.high, b, p);`;
    const code = value(wire, read, bare);
    if (format.int64 !== "safe-number") return code;
    const safe = signed ? "isSafeInt64(seen.low, seen.high)" : "seen.high >>> 0 < 0x200000";
    return { ...code, write: `if (${safe}) { ${bare} } else { b[p++] = 34; ${bare} b[p++] = 34; }` };
  };
  switch (type) {
    case ScalarType.STRING:
      return value(2, readLength, "p = putUtf8(s, i, n, b, p); i += n;");
    case ScalarType.BYTES:
      return value(2, readLength, "p = putBase64(s, i, n, b, p); i += n;");
    case ScalarType.BOOL:
      return value(0, "x = s[i++]; if (x > 127) throw irregular;", putBoolean("x !== 0"));
    case ScalarType.DOUBLE:
      return value(1, "x = sv.getFloat64(i, true); i += 8;", "p = putDouble(x, b, p);");
    case ScalarType.FLOAT:
      return value(5, "x = sv.getFloat32(i, true); i += 4;", "p = putFloat(x, b, p);");
    case ScalarType.INT32:
      return value(0, readVarint("x", "| 0"), putSmall);
    case ScalarType.UINT32:
      return value(0, readVarint("x", ""), putSmall);
    case ScalarType.SINT32:
      return value(0, `${readVarint("x", "")} x = (x >>> 1) ^ -(x & 1);`, putSmall);
    case ScalarType.SFIXED32:
      return value(5, "x = sv.getInt32(i, true); i += 4;", putSmall);
    case ScalarType.FIXED32:
      return value(5, "x = sv.getUint32(i, true); i += 4;", putSmall);
    case ScalarType.SINT64:
      return long(0, "takeZigzag64(s, i); i = seen.pos;", true);
    case ScalarType.INT64:
      return long(0, "takeVarint64(s, i); i = seen.pos;", true);
    case ScalarType.UINT64:
      return long(0, "takeVarint64(s, i); i = seen.pos;", false);
    case ScalarType.SFIXED64:
      return long(1, readFixed64, true);
    case ScalarType.FIXED64:
      return long(1, readFixed64, false);
  }
}
