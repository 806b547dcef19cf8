import { type DescField, ScalarType } from "@bufbuild/protobuf";
import type { Fields } from "./field-shape.ts";

/** Whether a value of a field without presence is its default, which the mapping leaves out. */
export function defaultTest(desc: DescField): (value: unknown) => boolean {
  if (desc.fieldKind === "list") return (value) => Array.isArray(value) && value.length === 0;
  if (desc.fieldKind === "map") return (value) => Object.keys(value as Fields).length === 0; // Maps are objects.
  if (desc.fieldKind === "enum") {
    const first = desc.enum.values[0]?.number;
    return (value) => value === first;
  }
  switch (desc.scalar) {
    case ScalarType.BYTES:
      return (value) => value instanceof Uint8Array && value.length === 0;
    case ScalarType.STRING:
      return (value) => value === "";
    case ScalarType.BOOL:
      return (value) => value === false;
    default:
      // Minus zero is no default.
      return (value) => Object.is(value, 0) || value === 0n || value === "0";
  }
}
