import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { fieldsByName, pathsOverlap } from "../../../binding/field-path.ts";
import { isHttpBody } from "../../../binding/http-body.ts";

/** The field that a part is for. */
export interface PartTarget {
  /** The message fields that contain it, outermost first. */
  readonly parents: readonly DescField[];
  readonly field: DescField;
  /** How the field stores the bytes of a file; undefined if it cannot. */
  readonly file: "http-body" | "bytes" | undefined;
}

/**
 * The field for a part's name: JSON or proto names joined by dots. Undefined for an unknown name, and for fields that
 * are `bound` by the path.
 */
export function partTarget(
  schema: DescMessage,
  name: string,
  bound: readonly (readonly DescField[])[],
): PartTarget | undefined {
  const path: DescField[] = [];
  let message: DescMessage | undefined = schema;
  for (const step of name.split(".")) {
    const field: DescField | undefined = message && fieldsByName(message).get(step);
    if (field === undefined) return undefined;
    path.push(field);
    message = field.fieldKind === "message" ? field.message : undefined;
  }
  const field = path.at(-1);
  if (field === undefined) return undefined;
  if (bound.some((fields) => fields.length <= path.length && pathsOverlap(fields, path))) return undefined;
  return { parents: path.slice(0, -1), field, file: fileKind(field) };
}

function fileKind(field: DescField): PartTarget["file"] {
  if (field.fieldKind === "map") return undefined;
  if (isHttpBody(field.message)) return "http-body";
  return field.scalar === ScalarType.BYTES ? "bytes" : undefined;
}
