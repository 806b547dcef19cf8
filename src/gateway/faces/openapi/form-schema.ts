import { type DescField, type DescMessage, type JsonObject, ScalarType } from "@bufbuild/protobuf";
import { rolesOf } from "../../../core/contract/field-roles.ts";
import type { JsonSchemas } from "../../../core/contract/json-schema.ts";
import { isHttpBody } from "../../binding/http-body.ts";

/** What a schema of forms is made of. */
export interface FormSchemaParts {
  readonly schemas: JsonSchemas;
  readonly isVisible: (field: DescField) => boolean;
  /** Whether parts that are no field are refused. */
  readonly isClosed: boolean;
}

/**
 * The schema of a `multipart/form-data` body, a part for each field: files for bytes, JSON for messages and maps, texts
 * for everything else. Fields within messages can have parts of their own too, which no schema lists.
 *
 * @param bound fields that the path sets
 */
export function formSchema(
  message: DescMessage,
  bound: ReadonlySet<DescField>,
  { schemas, isVisible, isClosed }: FormSchemaParts,
): JsonObject {
  const fields = message.fields.filter(
    (field) => !bound.has(field) && isVisible(field) && !rolesOf(field).outputOnly,
  );
  const required = fields.filter((field) => rolesOf(field).required).map((field) => schemas.nameOf(field));
  return {
    type: "object",
    properties: Object.fromEntries(fields.map((field) => [schemas.nameOf(field), partOf(field, schemas)])),
    ...(required.length > 0 && { required }),
    ...(isClosed && { additionalProperties: false }),
  };
}

function partOf(field: DescField, schemas: JsonSchemas): JsonObject {
  if (isFile(field)) {
    const file = { type: "string", contentMediaType: "application/octet-stream" };
    return field.fieldKind === "list" ? { type: "array", items: file } : file;
  }
  return schemas.ofText(field);
}

/** Whether the part of a field can be a file. */
export function isFile({ message, scalar, fieldKind }: DescField): boolean {
  return (
    fieldKind !== "map" && (isHttpBody(message) || (message === undefined && scalar === ScalarType.BYTES))
  );
}
