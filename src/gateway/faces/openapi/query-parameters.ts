import type { DescField, DescMessage, JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { JsonSchemas } from "../../../core/contract/json-schema.ts";
import { rolesOf } from "../../../core/contract/field-roles.ts";
import type { Route } from "../../../core/http-rule/route.ts";
import { compileMaskDeriver } from "../../binding/field-mask.ts";
import { hasTextForm } from "../../binding/field-value.ts";
import { isHttpBody } from "../../binding/http-body.ts";

/** Messages whose text is JSON of any shape. */
const freeForms: ReadonlySet<string> = new Set(
  ["Struct", "Value", "ListValue"].map((name) => `google.protobuf.${name}`),
);

/**
 * The parameters of the query of a route: the fields that neither path nor body bind.
 *
 * @param example gives examples of those that a request must have
 */
export function queryParameters(
  route: Route,
  schemas: JsonSchemas,
  isVisible: (field: DescField) => boolean,
  example: (field: DescField) => JsonValue | undefined,
): JsonObject[] {
  if (route.bodyField === "*") return [];
  const bound = [
    ...route.variables.map(({ fields }) => fields),
    ...(route.bodyField === undefined ? [] : [route.bodyField]),
  ];
  const taken = new Set(bound.map((path) => textOf(path)));
  const oneofs = new Set(bound.flatMap((path) => path.flatMap(({ oneof }) => oneof ?? [])));
  const mask = compileMaskDeriver(route)?.field;
  const parameters: JsonObject[] = [];

  const walk = (message: DescMessage, above: readonly DescField[], inside: readonly string[]): void => {
    for (const field of message.fields) {
      const path = [...above, field];
      if (taken.has(textOf(path)) || field === mask || !isVisible(field)) continue;
      if ((field.oneof !== undefined && oneofs.has(field.oneof)) || rolesOf(field).outputOnly) continue;
      const target = targetOf(field);
      if (target === "none") continue;
      if (target !== "fields") {
        parameters.push(parameterOf(path, target, schemas, example));
        continue;
      }
      const inner = field.message;
      if (inner === undefined || inside.includes(inner.typeName)) continue;
      walk(inner, path, [...inside, inner.typeName]);
    }
  };
  walk(route.method.input, [], [route.method.input.typeName]);
  return parameters;
}

function textOf(path: readonly DescField[]): string {
  return path.map(({ name }) => name).join(".");
}

/** How a field stands in a query: as one value, as JSON, by the fields in it, or not at all. */
function targetOf(field: DescField): "value" | "json" | "map" | "fields" | "none" {
  const { message } = field;
  if (field.fieldKind === "map") return message === undefined ? "map" : "none";
  if (message === undefined) return "value";
  if (freeForms.has(message.typeName)) return field.fieldKind === "list" ? "none" : "json";
  if (hasTextForm(message)) return "value";
  if (field.fieldKind === "list" || isHttpBody(message) || message.typeName === "google.protobuf.Any")
    return "none";
  return "fields";
}

function parameterOf(
  path: readonly DescField[],
  target: "value" | "json" | "map",
  schemas: JsonSchemas,
  example: (field: DescField) => JsonValue | undefined,
): JsonObject {
  const field = path.at(-1) as DescField; // A path is never empty.
  const { description, ...schema } = schemas.ofText(field);
  const isRequired = path.length === 1 && rolesOf(field).required;
  const value = isRequired && target === "value" ? example(field) : undefined;
  return {
    name: path.map((one) => schemas.nameOf(one)).join("."),
    in: "query",
    ...(description !== undefined && { description }),
    ...(field.deprecated && { deprecated: true }),
    ...(isRequired && { required: true }),
    ...(target === "map" && { style: "deepObject", explode: true }),
    ...(target === "json" ? { content: { "application/json": { schema } } } : { schema }),
    ...(value !== undefined && { example: value }),
  };
}
