import type { DescField, DescMessage, JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { JsonSchema, JsonSchemas } from "../../../core/contract/json-schema.ts";
import { rolesOf } from "../../../core/contract/field-roles.ts";
import type { Side } from "../../../core/contract/schema-names.ts";
import type { Route } from "../../../core/http-rule/route.ts";
import { compileMaskDeriver } from "../../binding/field-mask.ts";
import { takesRawBody } from "../../binding/http-body.ts";
import { formSchema, isFile } from "./form-schema.ts";
import { streamContent, type DocumentVersion } from "./stream-content.ts";

/** What of a document bodies depend on. */
export interface BodyOptions {
  readonly binary: boolean;
  readonly version: DocumentVersion;
  readonly inputs: "canonical" | "exact";
  readonly isVisible: (field: DescField) => boolean;
  /** Whether unknown parts of forms are refused. */
  readonly isClosed: boolean;
  /** Of a body in JSON; undefined for none. */
  readonly example: JsonValue | undefined;
}

/** The Request Body Object of a route; undefined for one without a body. */
export function requestBody(
  route: Route,
  schemas: JsonSchemas,
  { binary, version, inputs, isVisible, isClosed, example }: BodyOptions,
): JsonObject | undefined {
  const { bodyField, method } = route;
  if (bodyField === undefined) return undefined;
  const isSent = inputs === "canonical"; // An empty one is a message without fields, or a stream without messages.
  if (takesRawBody(route)) return { ...(isSent && { required: true }), content: { "*/*": {} } };
  const side: Side = compileMaskDeriver(route) === undefined ? "input" : "patch";
  const { schema, required } = bodySchema(route, side, schemas);
  const isStream = method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming";
  if (isStream) {
    const content = streamContent(schema, version, ["application/x-ndjson"]);
    return { ...(isSent && { required: true }), content };
  }
  const message = messageOf(route);
  const form = { schemas, isVisible, isClosed };
  return {
    ...(required && { required: true }),
    content: {
      "application/json": { schema, ...(example !== undefined && { example }) },
      ...(message?.fields.some(isFile) === true && {
        "multipart/form-data": { schema: formSchema(message, boundOf(route), form) },
      }),
      ...(binary &&
        message !== undefined && { "application/proto": { schema: { type: "string", format: "binary" } } }),
    },
  };
}

function messageOf({ bodyField, method }: Route): DescMessage | undefined {
  return bodyField === "*" ? method.input : bodyField?.at(-1)?.message;
}

/** The fields of the body that the path sets whole. */
function boundOf({ bodyField, variables }: Route): ReadonlySet<DescField> {
  const depth = bodyField === undefined || bodyField === "*" ? 0 : bodyField.length;
  return new Set(variables.flatMap(({ fields }) => (fields.length === depth + 1 ? fields.slice(depth) : [])));
}

function bodySchema(
  route: Route,
  side: Side,
  schemas: JsonSchemas,
): { readonly schema: JsonSchema; readonly required: boolean } {
  const { bodyField, method } = route;
  if (bodyField === undefined || bodyField === "*") {
    const bound = boundOf(route);
    const schema = schemas.without(method.input, side, bound);
    const rest = method.input.fields.filter((field) => !bound.has(field));
    return { schema, required: rest.some((field) => isRequired(field, side)) };
  }
  const field = bodyField.at(-1) as DescField; // A path is never empty.
  const within = field.message?.fields ?? [];
  const required = rolesOf(field).required || within.some((one) => isRequired(one, side));
  return { schema: schemas.ofField(field, side), required };
}

function isRequired(field: DescField, side: Side): boolean {
  return side === "input" && rolesOf(field).required && !rolesOf(field).outputOnly;
}
