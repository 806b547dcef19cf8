import type { DescField, DescMessage, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { hasCustomJsonRepresentation } from "@bufbuild/protobuf/wkt";
import type { FieldViolation } from "../errors/errors.ts";

/**
 * What a query cannot say of a message, or undefined where it holds all of it. Calls `add` with every parameter in
 * field order: JSON names joined by dots, lists by repeating the name, entries of maps as `labels[key]`.
 *
 * @param message the JSON of what neither path nor body hold
 * @param prefix of the names of parameters
 * @param path of the names of violations, which are proto names
 */
export function writeQuery(
  { fields }: DescMessage,
  message: JsonObject,
  add: (name: string, value: string) => void,
  prefix = "",
  path = "",
): FieldViolation | undefined {
  let left = Object.keys(message).length;
  for (const field of fields) {
    const value = Object.hasOwn(message, field.jsonName) ? message[field.jsonName] : undefined;
    if (value === undefined) continue;
    left--;
    const name = prefix + field.jsonName;
    const refused = { field: path + field.name, description: "" };
    if (field.fieldKind === "list" || field.fieldKind === "map") {
      if (!hasText(field))
        return { ...refused, description: `a ${field.fieldKind} of messages ${inNoQuery}` };
      for (const [key, item] of Object.entries(value ?? {}) as [string, JsonValue][]) {
        if (field.fieldKind === "list") add(name, textOf(field, item));
        else if (/\][[.]/.test(key))
          return { ...refused, description: `the key ${JSON.stringify(key)} ${inNoQuery}` };
        else add(`${name}[${key}]`, textOf(field, item));
      }
    } else if (hasText(field)) add(name, textOf(field, value));
    else {
      const inner = value as JsonObject; // Of a message without a form of its own.
      const isAny = field.message?.typeName === "google.protobuf.Any";
      if (field.message === undefined || isAny) return { ...refused, description: `an Any ${inNoQuery}` };
      if (Object.keys(inner).length === 0)
        return { ...refused, description: `an empty message ${inNoQuery}` };
      const obstacle = writeQuery(field.message, inner, add, `${name}.`, `${path}${field.name}.`);
      if (obstacle !== undefined) return obstacle;
    }
  }
  return left === 0 ? undefined : { field: path.slice(0, -1), description: `an extension ${inNoQuery}` };
}

const inNoQuery = "can not be written in a query";

/** Whether one value of a field is one text. */
function hasText({ message }: DescField): boolean {
  if (message === undefined) return true;
  return hasCustomJsonRepresentation(message) && message.typeName !== "google.protobuf.Any";
}

function textOf({ message, enum: of }: DescField, value: JsonValue): string {
  if (of !== undefined && value === null) return "NULL_VALUE";
  if (typeof value !== "string" || message?.typeName === "google.protobuf.Value")
    return JSON.stringify(value);
  return value;
}
