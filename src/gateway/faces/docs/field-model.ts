import { type DescField, type JsonObject, ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence as Presence } from "@bufbuild/protobuf/wkt";
import { rolesOf } from "../../../core/contract/field-roles.ts";
import { resourceOf } from "../../../core/contract/resource-names.ts";
import type { JsonSchemas } from "../../../core/contract/json-schema.ts";
import type { Comments } from "../../../core/contract/comments.ts";

/** Keywords of a JSON Schema that a form shows as hints. */
const hintKeywords = [
  "minLength",
  "maxLength",
  "pattern",
  "format",
  "minimum",
  "maximum",
  "exclusiveMinimum",
  "exclusiveMaximum",
  "const",
  "enum",
  "minItems",
  "maxItems",
  "uniqueItems",
  "minProperties",
  "maxProperties",
];

/** What fields of messages are described with. */
export interface FieldParts {
  readonly comments: Comments;
  readonly schemas: JsonSchemas;
}

/** Describes a field for the console: `Field` in `page/model.js`. Members that say nothing are left out. */
export function fieldModel(field: DescField, { comments, schemas }: FieldParts): JsonObject {
  const roles = rolesOf(field);
  const { text, deprecation } = comments.of(field);
  const name = schemas.nameOf(field);
  const rules = rulesOf(field, text, schemas);
  return {
    name,
    ...(field.name !== name && { proto: field.name }),
    number: field.number,
    type: typeOf(field),
    ...(field.fieldKind === "list" && { list: true }),
    ...(field.fieldKind === "map" && { key: scalarName(field.mapKey) }),
    ...(hasPresence(field) && { presence: true }),
    ...(field.oneof !== undefined && { oneof: field.oneof.name }),
    ...(roles.required && { required: true }),
    ...(roles.outputOnly && { outputOnly: true }),
    ...(roles.inputOnly && { inputOnly: true }),
    ...(roles.immutable && { immutable: true }),
    ...(field.deprecated && { deprecated: deprecation ?? true }),
    ...(resourceOf(field) !== undefined && { refersTo: resourceOf(field) ?? "" }),
    ...(text !== "" && { comment: text }),
    ...rules,
  };
}

/** The name of a scalar as in a .proto, or the full name of a message or an enum. */
function typeOf(field: DescField): string {
  return field.message?.typeName ?? field.enum?.typeName ?? scalarName(field.scalar ?? ScalarType.STRING);
}

function scalarName(scalar: ScalarType): string {
  return (ScalarType[scalar] ?? "string").toLowerCase();
}

function hasPresence({ fieldKind, presence }: DescField): boolean {
  return (fieldKind === "scalar" || fieldKind === "enum") && presence !== Presence.IMPLICIT;
}

/** Rules of `buf.validate`: those that keywords say, and sentences for all others. */
function rulesOf(field: DescField, comment: string, schemas: JsonSchemas): JsonObject {
  const schema = schemas.ofField(field, "input");
  const { description } = schema;
  const own = typeof description === "string" ? description.slice(comment.length).trim() : "";
  const isPlain = field.message === undefined && field.enum === undefined;
  const hints = hintKeywords.flatMap((keyword) => {
    const value = schema[keyword];
    return value === undefined || isGiven(keyword, value, field) ? [] : [[keyword, value] as const];
  });
  return {
    ...(own !== "" && { rules: own }),
    ...(isPlain && hints.length > 0 && { hints: Object.fromEntries(hints) }),
  };
}

/** What the type of a field says already: formats, patterns and bounds of numbers. */
function isGiven(keyword: string, value: unknown, { scalar, fieldKind }: DescField): boolean {
  if (fieldKind !== "scalar" || scalar === ScalarType.STRING || scalar === ScalarType.BYTES) return false;
  return keyword === "format" || keyword === "pattern" || isOwnBound(value, scalar);
}

function isOwnBound(value: unknown, scalar: ScalarType): boolean {
  const isUnsigned = scalarName(scalar).startsWith("u") || scalarName(scalar).startsWith("fixed");
  return isUnsigned
    ? value === 0 || value === 4_294_967_295
    : value === -2_147_483_648 || value === 2_147_483_647;
}
