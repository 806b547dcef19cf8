import { type DescField, type DescMessage, type JsonObject, ScalarType } from "@bufbuild/protobuf";
import type { JsonSchema, JsonSchemas } from "../../../core/contract/json-schema.ts";
import { rolesOf } from "../../../core/contract/field-roles.ts";
import type { Side } from "../../../core/contract/schema-names.ts";
import type { Route } from "../../../core/http-rule/route.ts";
import { compileMaskDeriver } from "../../binding/field-mask.ts";
import { isHttpBody, takesRawBody } from "../../binding/http-body.ts";
import { streamContent, type DocumentVersion } from "./stream-content.ts";

/** The Request Body Object of a route; undefined for one without a body. */
export function requestBody(
  route: Route,
  schemas: JsonSchemas,
  { binary, version }: { readonly binary: boolean; readonly version: DocumentVersion },
): JsonObject | undefined {
  const { bodyField, method } = route;
  if (bodyField === undefined) return undefined;
  if (takesRawBody(route)) return { required: true, content: { "*/*": {} } };
  const side: Side = compileMaskDeriver(route) === undefined ? "input" : "patch";
  const { schema, required } = bodySchema(route, side, schemas);
  const isStream = method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming";
  if (isStream) return { required: true, content: streamContent(schema, version, ["application/x-ndjson"]) };
  const message = messageOf(route);
  return {
    ...(required && { required: true }),
    content: {
      "application/json": { schema },
      ...(message !== undefined && hasBytes(message) && { "multipart/form-data": { schema } }),
      ...(binary &&
        message !== undefined && { "application/proto": { schema: { type: "string", format: "binary" } } }),
    },
  };
}

function messageOf({ bodyField, method }: Route): DescMessage | undefined {
  return bodyField === "*" ? method.input : bodyField?.at(-1)?.message;
}

function bodySchema(
  route: Route,
  side: Side,
  schemas: JsonSchemas,
): { readonly schema: JsonSchema; readonly required: boolean } {
  const { bodyField, method, variables } = route;
  if (bodyField === undefined || bodyField === "*") {
    const bound = new Set(variables.flatMap(({ fields }) => (fields.length === 1 ? fields : [])));
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

/** Whether a message has a field that files of a form can be. */
function hasBytes({ fields }: DescMessage): boolean {
  return fields.some(
    ({ message, scalar }) => isHttpBody(message) || (message === undefined && scalar === ScalarType.BYTES),
  );
}
