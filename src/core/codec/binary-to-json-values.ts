import { ScalarType } from "@bufbuild/protobuf";
import type { WriteFormat } from "./message-writer.ts";
import { putBoolean, putLong, putScalar, scalarQuote } from "./put-json-code.ts";
import { type ScalarKind, scalarKind, type WireType, wireType } from "./scalar-kinds.ts";
import { takeLength, takeScalar } from "./take-binary-code.ts";

/** Code that takes a value from protobuf bytes into `x`, `n` and `seen`, and code that puts its JSON behind `open`. */
export interface ValueCode {
  readonly type: WireType;
  readonly open: string;
  readonly take: string;
  readonly put: string;
}

/** The code of a scalar; `putBare` leaves out the quote behind it. */
export function scalarCode(type: ScalarType, format: WriteFormat): ValueCode & { readonly putBare: string } {
  const kind = scalarKind(type);
  const open = scalarQuote(kind, format);
  const putBare = bareCode(kind);
  return {
    type: wireType(type),
    open,
    take: takeScalar(type),
    put: quotedCode(kind, putBare, format),
    putBare,
  };
}

function bareCode(kind: ScalarKind): string {
  switch (kind) {
    case "string":
      return "p = putUtf8(s, i, n, b, p); i += n;";
    case "bytes":
      return "p = putBase64(s, i, n, b, p); i += n;";
    default:
      return putScalar(kind);
  }
}

function quotedCode(kind: ScalarKind, bare: string, format: WriteFormat): string {
  switch (kind) {
    case "string":
    case "bytes":
      return `${bare} b[p++] = 34;`;
    case "int64":
      return putLong(bare, "isSafeInt64(seen.low, seen.high)", format);
    case "uint64":
      return putLong(bare, "seen.high >>> 0 < 0x200000", format);
    default:
      return bare;
  }
}

/** The code of a wrapper, which is empty where its value is the default. */
export function wrapperCode(type: ScalarType, format: WriteFormat): ValueCode {
  const value = scalarCode(type, format);
  const quote = value.open === "" ? "" : "b[p++] = 34;";
  const zero = type === ScalarType.BOOL ? putBoolean("false") : "b[p++] = 48;";
  const absent = type === ScalarType.STRING || type === ScalarType.BYTES ? "" : zero;
  return {
    type: 2,
    open: value.open,
    take: `${takeLength} const w = i + n;`,
    put: `if (n === 0) { ${absent} ${quote} } else { if (s[i++] !== ${(1 << 3) | value.type}) throw irregular; ${value.take} ${value.put} if (i !== w) throw irregular; }`,
  };
}

/** The code of a Timestamp (`putTimestamp`) or Duration (`putDuration`). */
export function timeCode(put: "putTimestamp" | "putDuration"): ValueCode {
  return {
    type: 2,
    open: '"',
    take: `${takeLength} x = takeTime(s, i, i + n); i += n;`,
    put: `p = ${put}(x, seen.low, b, p); b[p++] = 34;`,
  };
}
