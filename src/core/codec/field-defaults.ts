import { type DescEnum, type DescField, ScalarType } from "@bufbuild/protobuf";
import type { Fields } from "./field-shape.ts";
import { scalarKind } from "./scalar-kinds.ts";

/** Whether a value of a field without presence is its default, which the mapping leaves out. */
export function defaultTest(desc: DescField): (value: unknown) => boolean {
  if (desc.fieldKind === "list") return (value) => Array.isArray(value) && value.length === 0;
  if (desc.fieldKind === "map") return (value) => Object.keys(value as Fields).length === 0; // Maps are objects.
  if (desc.fieldKind === "enum") {
    const first = firstNumber(desc.enum);
    return (value) => value === first;
  }
  switch (scalarKind(desc.scalar ?? ScalarType.STRING)) {
    case "bytes":
      return (value) => value instanceof Uint8Array && value.length === 0;
    case "string":
      return (value) => value === "";
    case "bool":
      return (value) => value === false;
    default:
      // Minus zero is no default.
      return (value) => Object.is(value, 0) || value === 0n || value === "0";
  }
}

/** The same for a singular field as code about `x`, which holds what the message holds. */
export function defaultCode(field: DescField): string {
  if (field.enum !== undefined) return `x === ${firstNumber(field.enum)}`;
  switch (scalarKind(field.scalar ?? ScalarType.STRING)) {
    case "bytes":
      return "x.length === 0";
    case "string":
      return 'x === ""';
    case "bool":
      return "x === false";
    default:
      return 'Object.is(x, 0) || x === 0n || x === "0"';
  }
}

/**
 * The same as code about what was taken from bytes: a number or boolean in `x`, a 64-bit integer in `seen`; `isEmpty`
 * is the code for strings and bytes.
 */
export function takenDefaultCode(type: ScalarType | DescEnum, isEmpty: string): string {
  if (typeof type === "object") return `x === ${firstNumber(type)}`;
  switch (scalarKind(type)) {
    case "string":
    case "bytes":
      return isEmpty;
    case "bool":
      return "!x";
    case "int64":
    case "uint64":
      return "seen.low === 0 && seen.high === 0";
    default:
      return "Object.is(x, 0)";
  }
}

/** The default of an enum: the number of its first value. */
export function firstNumber(desc: DescEnum): number {
  return desc.values[0]?.number ?? 0;
}
