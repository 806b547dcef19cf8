import { type DescMessage, type JsonObject, type JsonValue, ScalarType } from "@bufbuild/protobuf";

/** JSON text as a value of JSON, of engines that have it. */
const { rawJSON } = JSON as { readonly rawJSON?: (text: string) => JsonValue };

/** What is written as -0, or as the text that is read as that. */
const minusZero = rawJSON?.("-0") ?? "-0";

/**
 * A request with each -0 as something that is written so: `JSON.stringify` leaves the sign out, and a field without
 * presence would not be set any more. Changes the object.
 */
export function withSignedZeros(json: JsonObject): JsonObject {
  for (const [key, value] of Object.entries(json)) {
    if (Object.is(value, -0)) json[key] = minusZero;
    else if (typeof value === "object" && value !== null) withSignedZeros(value as JsonObject); // Lists have keys too.
  }
  return json;
}

/** Whether a message may have a number with a fraction, in a message inside of it too. */
export function canHaveFloats({ typeName, fields }: DescMessage, visited: Set<string> = new Set()): boolean {
  if (visited.has(typeName)) return false;
  visited.add(typeName);
  return (
    typeName === "google.protobuf.Any" ||
    fields.some(({ scalar, message }) =>
      message === undefined
        ? scalar === ScalarType.DOUBLE || scalar === ScalarType.FLOAT
        : canHaveFloats(message, visited),
    )
  );
}
