import { ScalarType } from "@bufbuild/protobuf";

/** What the values of a scalar type are, whatever their encoding: `sint32` and `sfixed32` have the kind `int32`. */
export type ScalarKind = IntegerKind | "string" | "bytes" | "bool" | "double" | "float";

/** The kinds of integers. */
export type IntegerKind = "int32" | "uint32" | "int64" | "uint64";

/** Where a value ends in protobuf bytes: 0 is a varint, 1 has eight bytes, 2 stands behind its length, 5 has four bytes. */
export type WireType = 0 | 1 | 2 | 5;

const scalars: Readonly<Record<ScalarType, readonly [ScalarKind, WireType]>> = {
  [ScalarType.STRING]: ["string", 2],
  [ScalarType.BYTES]: ["bytes", 2],
  [ScalarType.BOOL]: ["bool", 0],
  [ScalarType.DOUBLE]: ["double", 1],
  [ScalarType.FLOAT]: ["float", 5],
  [ScalarType.INT32]: ["int32", 0],
  [ScalarType.SINT32]: ["int32", 0],
  [ScalarType.SFIXED32]: ["int32", 5],
  [ScalarType.UINT32]: ["uint32", 0],
  [ScalarType.FIXED32]: ["uint32", 5],
  [ScalarType.INT64]: ["int64", 0],
  [ScalarType.SINT64]: ["int64", 0],
  [ScalarType.SFIXED64]: ["int64", 1],
  [ScalarType.UINT64]: ["uint64", 0],
  [ScalarType.FIXED64]: ["uint64", 1],
};

/** The kind of a scalar type. */
export function scalarKind(type: ScalarType): ScalarKind {
  return scalars[type][0];
}

/** The wire type of a scalar type. */
export function wireType(type: ScalarType): WireType {
  return scalars[type][1];
}

/** The largest float that is finite. */
export const maxFloat = 3.4028234663852886e38;

/** Smallest and largest integer of each kind. */
export const integerRanges: Readonly<Record<IntegerKind, { readonly min: bigint; readonly max: bigint }>> = {
  int32: { min: -(2n ** 31n), max: 2n ** 31n - 1n },
  uint32: { min: 0n, max: 2n ** 32n - 1n },
  int64: { min: -(2n ** 63n), max: 2n ** 63n - 1n },
  uint64: { min: 0n, max: 2n ** 64n - 1n },
};

/** Code that is true where `x` is no value of a kind, as far as its JavaScript type says. */
export function notOfKind(kind: ScalarKind): string {
  switch (kind) {
    case "string":
      return 'typeof x !== "string"';
    case "bytes":
      return "!(x instanceof Uint8Array)";
    case "bool":
      return "x !== true && x !== false";
    case "double":
    case "float":
      return 'typeof x !== "number"';
    case "int32":
      return "(x | 0) !== x";
    case "uint32":
      return "x >>> 0 !== x";
    case "int64":
    case "uint64":
      return 'typeof x !== "bigint"';
  }
}
