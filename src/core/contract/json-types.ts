import { type DescMessage, type JsonObject, ScalarType } from "@bufbuild/protobuf";
import { base64Pattern } from "../codec/base64-text.ts";
import { wrapped } from "../codec/field-shape.ts";
import type { SchemaForm } from "./schema-form.ts";
import { booleanPattern, floatPattern, integerPattern } from "./number-texts.ts";
import type { Side } from "./schema-names.ts";

const notNumbers = ["NaN", "Infinity", "-Infinity"];
const signedText = "^-?[0-9]{1,19}$";
const unsignedText = "^[0-9]{1,20}$";
const largestFloat = 3.402_823_466_385_288_6e38;

/** The schema of a scalar as the text of a query, a path or a form, in everything that is taken. */
export function scalarTextSchema(scalar: ScalarType): JsonObject {
  if (scalar === ScalarType.BOOL)
    return { anyOf: [{ type: "boolean" }, { type: "string", pattern: booleanPattern }] };
  return scalarSchema(scalar, "input", { int64: "string", inputs: "exact" });
}

/** The schema of a scalar. */
export function scalarSchema(
  scalar: ScalarType,
  side: Side,
  { int64, inputs }: Pick<SchemaForm, "int64" | "inputs">,
): JsonObject {
  const isExact = side !== "output" && inputs === "exact";
  switch (scalar) {
    case ScalarType.BOOL:
      return { type: "boolean" };
    case ScalarType.STRING:
      return { type: "string" };
    case ScalarType.BYTES:
      return { type: "string", contentEncoding: "base64", ...(isExact && { pattern: base64Pattern }) };
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE: {
      const format = scalar === ScalarType.FLOAT ? "float" : "double";
      if (!isExact)
        return {
          anyOf: [
            { type: "number", format },
            { type: "string", enum: [...notNumbers] },
          ],
        };
      const range = format === "float" ? { minimum: -largestFloat, maximum: largestFloat } : {};
      return { anyOf: [{ type: "number", format, ...range }, textOf(floatPattern(format))] };
    }
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return orText({ type: "integer", format: "uint32", minimum: 0, maximum: 4_294_967_295 }, isExact);
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return orText(
        { type: "integer", format: "int32", minimum: -2_147_483_648, maximum: 2_147_483_647 },
        isExact,
      );
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return longSchema("uint64", unsignedText, int64, isExact);
    default:
      return longSchema("int64", signedText, int64, isExact);
  }
}

/** Numbers are taken as texts too. */
function orText(schema: JsonObject & { readonly format: "int32" | "uint32" }, isExact: boolean): JsonObject {
  return isExact ? { anyOf: [schema, textOf(integerPattern(schema.format))] } : schema;
}

function textOf(pattern: string): JsonObject {
  return { type: "string", pattern };
}

function longSchema(
  format: "int64" | "uint64",
  pattern: string,
  int64: SchemaForm["int64"],
  isExact: boolean,
): JsonObject {
  const text = { type: "string", format, pattern };
  const number = { type: "integer", format, ...(format === "uint64" && { minimum: 0 }) };
  if (isExact) return { anyOf: [textOf(integerPattern(format)), number] };
  if (int64 === "string") return text;
  return int64 === "number" ? number : { anyOf: [number, text] };
}

/** The schema of a message that is no object of its fields in JSON; undefined for all others. */
export function wellKnownSchema(desc: DescMessage, side: Side, form: SchemaForm): JsonObject | undefined {
  if (!desc.typeName.startsWith("google.protobuf.")) return undefined;
  const scalar = wrapped(desc);
  if (scalar !== undefined) return { anyOf: [scalarSchema(scalar, side, form), { type: "null" }] };
  switch (desc.typeName) {
    case "google.protobuf.Timestamp":
      return { type: "string", format: "date-time" };
    case "google.protobuf.Duration":
      return { type: "string", pattern: String.raw`^-?[0-9]{1,12}(\.[0-9]{1,9})?s$` };
    case "google.protobuf.FieldMask":
      return { type: "string", pattern: String.raw`^([A-Za-z0-9_.]+(,[A-Za-z0-9_.]+)*)?$` };
    case "google.protobuf.Struct":
      return { type: "object", additionalProperties: true };
    case "google.protobuf.Value":
      return {};
    case "google.protobuf.ListValue":
      return { type: "array", items: {} };
    case "google.protobuf.Empty":
      return { type: "object" };
    case "google.protobuf.Any":
      return {
        type: "object",
        properties: {
          "@type": { type: "string", description: "The type of the message, behind its last `/`." },
        },
        // An empty one is written, and taken, as an empty object.
        ...(side === "output" || form.inputs === "exact" ? {} : { required: ["@type"] }),
        additionalProperties: true,
      };
    default:
      return undefined;
  }
}
