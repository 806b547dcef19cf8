import { ScalarType, type DescField } from "@bufbuild/protobuf";
import type { Route, RouteVariable } from "../../core/http-rule/route.ts";

/**
 * A path for a first request, such as `/v1/shelves/1/books`: of the first unary `GET` without variables, else of the
 * first unary `GET`, with sample values for its variables. Undefined if there is none.
 */
export function samplePath(routes: readonly Route[]): string | undefined {
  const candidates = routes.filter(
    ({ httpMethod, implicit, method }) => httpMethod === "GET" && !implicit && method.methodKind === "unary",
  );
  const plain = candidates.find(
    ({ template, variables }) =>
      variables.length === 0 && template.segments.every(({ kind }) => kind === "literal"),
  );
  const route = plain ?? candidates[0];
  return route === undefined ? undefined : fill(route);
}

function fill({ template, variables }: Route): string {
  const segments: string[] = template.segments.map((segment) =>
    segment.kind === "literal" ? segment.text : "1",
  );
  for (const [index, { start, end }] of template.variables.entries()) {
    const variable = variables[index];
    if (end - start === 1 && template.segments[start]?.kind !== "literal" && variable !== undefined) {
      segments[start] = encodeURIComponent(sampleValue(variable));
    }
  }
  return `/${segments.join("/")}${template.verb === "" ? "" : `:${template.verb}`}`;
}

function sampleValue({ fields }: RouteVariable): string {
  const field = fields.at(-1);
  return field === undefined ? "1" : valueOf(field);
}

function valueOf(field: DescField): string {
  if (field.enum !== undefined) return (field.enum.values[1] ?? field.enum.values[0])?.name ?? "1";
  if (field.message !== undefined) return wellKnown[field.message.typeName] ?? "1";
  if (field.scalar === ScalarType.BOOL) return "true";
  return field.scalar === ScalarType.BYTES ? "MQ" : "1"; // Base64 of "1".
}

/** Sample values of messages that a path can contain and whose text form is no number. */
const wellKnown: Readonly<Record<string, string>> = {
  "google.protobuf.Timestamp": "2026-01-01T00:00:00Z",
  "google.protobuf.Duration": "1s",
  "google.protobuf.FieldMask": "name",
  "google.protobuf.BoolValue": "true",
  "google.protobuf.BytesValue": "MQ",
};
