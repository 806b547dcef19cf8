import { type DescMessage, type JsonObject, ScalarType } from "@bufbuild/protobuf";
import { wrapped } from "../codec/field-shape.ts";
import type { SchemaForm } from "./schema-form.ts";
import type { Side } from "./schema-names.ts";

const notNumbers = ["NaN", "Infinity", "-Infinity"];
const signedText = "^-?[0-9]{1,19}$";
const unsignedText = "^[0-9]{1,20}$";

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
      return { type: "string", contentEncoding: "base64" };
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE: {
      const format = scalar === ScalarType.FLOAT ? "float" : "double";
      const texts = isExact ? { type: "string" } : { type: "string", enum: [...notNumbers] };
      return { anyOf: [{ type: "number", format }, texts] };
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

/** Numbers are taken as texts too, in any spelling of JSON. */
function orText(schema: JsonObject, isExact: boolean): JsonObject {
  return isExact ? { anyOf: [schema, { type: "string" }] } : schema;
}

function longSchema(
  format: string,
  pattern: string,
  int64: SchemaForm["int64"],
  isExact: boolean,
): JsonObject {
  const text = { type: "string", format, pattern };
  const number = { type: "integer", format, ...(format === "uint64" && { minimum: 0 }) };
  if (isExact) return { anyOf: [{ type: "string" }, number] };
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
