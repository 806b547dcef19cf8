import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { isMembers } from "../codec/json-members.ts";
import { foreignOption, type Optioned } from "./foreign-options.ts";

/** What options of other projects say of a schema, and the names of what of it a document cannot say. */
export interface ForeignSchema {
  readonly schema: JsonObject;
  /** Such as `openapiv2_field.json_schema.type`. */
  readonly leftOut: readonly string[];
}

/** Options with a schema, by the kind of element: of grpc-gateway's OpenAPI 2 and 3, and of gnostic. */
const optionsOf: Readonly<Partial<Record<Optioned["kind"], readonly string[]>>> = {
  field: [
    "grpc.gateway.protoc_gen_openapiv2.options.openapiv2_field",
    "grpc.gateway.protoc_gen_openapiv3.options.openapiv3_field",
    "openapi.v3.property",
  ],
  message: [
    "grpc.gateway.protoc_gen_openapiv2.options.openapiv2_schema",
    "grpc.gateway.protoc_gen_openapiv3.options.openapiv3_schema",
    "openapi.v3.schema",
  ],
  enum: [
    "grpc.gateway.protoc_gen_openapiv2.options.openapiv2_enum",
    "grpc.gateway.protoc_gen_openapiv3.options.openapiv3_enum",
    "openapi.v3.schema",
  ],
};

const same = new Set([
  "title",
  "description",
  "readOnly",
  "writeOnly",
  "deprecated",
  "pattern",
  "format",
  "uniqueItems",
]);
const numbers = new Set([
  ...["multipleOf", "maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties"],
]);
/** Of an element without such options. */
export const noForeignSchema: ForeignSchema = Object.freeze({
  schema: Object.freeze({}),
  leftOut: Object.freeze([]),
});

/** The schema that options of other projects give an element; the first option that says a member has precedence. */
export function foreignSchema(desc: Optioned): ForeignSchema {
  let schema: JsonObject = {};
  const leftOut: string[] = [];
  for (const name of optionsOf[desc.kind] ?? []) {
    if (desc.kind !== "file" && desc.proto.options === undefined) return noForeignSchema;
    const option = foreignOption(desc, name);
    if (!isMembers(option)) continue;
    const short = name.slice(name.lastIndexOf(".") + 1);
    const said = schemaOf(option, (member) => leftOut.push(`${short}.${member}`));
    schema = { ...said, ...schema };
  }
  return leftOut.length === 0 && Object.keys(schema).length === 0 ? noForeignSchema : { schema, leftOut };
}

/** A schema of OpenAPI 2 or 3.0 as one of JSON Schema. @param leave takes what cannot be said */
function schemaOf(option: JsonObject, leave: (member: string) => void): JsonObject {
  const schema: Record<string, JsonValue> = {};
  for (const [name, value] of Object.entries(option)) {
    if (name === "jsonSchema" && isMembers(value))
      Object.assign(
        schema,
        schemaOf(value, (member) => leave(`json_schema.${member}`)),
      );
    else if (same.has(name)) schema[name] = value;
    else if (numbers.has(name)) schema[name] = Number(value);
    else if (name === "maximum" || name === "minimum") {
      const exclusive = `exclusive${name === "maximum" ? "Maximum" : "Minimum"}`;
      schema[option[exclusive] === true ? exclusive : name] = Number(value);
    } else if (name === "exclusiveMaximum" || name === "exclusiveMinimum") continue;
    else if (name === "example") schema["examples"] = [exampleOf(value)];
    else if (name === "default" && typeof value === "string") schema["default"] = readingOf(value);
    else if (name === "externalDocs" && isMembers(value)) schema[name] = docsOf(value);
    else if (name === "extensions" && isMembers(value)) Object.assign(schema, value);
    else if (name === "specificationExtension") Object.assign(schema, extensionsOf(value));
    else leave(name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
  }
  return schema;
}

/** An External Documentation Object, which all versions have alike. */
export function docsOf({ description, url }: JsonObject): JsonObject {
  return { ...(description !== undefined && { description }), url: url ?? "" };
}

/** Members of gnostic's list of extensions. */
export function extensionsOf(value: JsonValue | undefined): JsonObject {
  const named = (Array.isArray(value) ? value : []).flatMap((one): [string, JsonValue][] => {
    if (!isMembers(one) || typeof one["name"] !== "string") return [];
    return [[one["name"], exampleOf(one["value"])]];
  });
  return Object.fromEntries(named);
}

/** A value that is a text of JSON, or gnostic's `Any` with a text of YAML. */
function exampleOf(value: JsonValue | undefined): JsonValue {
  if (typeof value === "string") return readingOf(value);
  if (isMembers(value) && typeof value["yaml"] === "string") return readingOf(value["yaml"].trim());
  return value ?? null;
}

function readingOf(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return text;
  }
}
