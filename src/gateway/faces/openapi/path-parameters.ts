import type { JsonObject } from "@bufbuild/protobuf";
import type { JsonSchemas } from "../../../core/contract/json-schema.ts";
import type { PathText } from "../path-text.ts";

/** The parameters of a path, one for each wildcard. @param examples their texts, in the same order */
export function pathParameters(
  { parameters }: PathText,
  schemas: JsonSchemas,
  examples: readonly (string | undefined)[],
): JsonObject[] {
  return parameters.map(({ name, field, multiSegment }, at) => {
    const whole: JsonObject = field === undefined ? { type: "string" } : schemas.ofText(field);
    const { description, readOnly: _readOnly, ...rest } = whole;
    const isText =
      rest["type"] === "string" && !("minLength" in rest) && !("format" in rest) && !multiSegment;
    const example = exampleOf(rest, examples[at]);
    return {
      name,
      in: "path",
      required: true,
      ...(description !== undefined && { description }),
      schema: isText ? { ...rest, minLength: 1 } : rest,
      ...(example !== undefined && { example }),
      ...(multiSegment && { "x-ts-ms-multi-segment": true }),
    };
  });
}

/** An example in the type of its schema. */
function exampleOf({ type }: JsonObject, text: string | undefined): string | number | boolean | undefined {
  if (text === undefined) return undefined;
  if (type === "integer" || type === "number") return Number(text);
  return type === "boolean" ? text === "true" : text;
}
