import type { DescMessage } from "@bufbuild/protobuf";

/** Members of arguments and results that wrap what is no object. */
export const wrapper = { value: "value", messages: "messages", more: "more" } as const;

/** Whether messages of a type are objects in JSON, so that they can be arguments and results as they are. */
export function isObjectMessage({ typeName }: DescMessage): boolean {
  return !typeName.startsWith("google.protobuf.") || objects.has(typeName) || !known.test(typeName);
}

const objects: ReadonlySet<string> = new Set([
  "google.protobuf.Struct",
  "google.protobuf.Empty",
  "google.protobuf.Any",
]);

const known = /^google\.protobuf\.(?:Timestamp|Duration|FieldMask|Value|ListValue|\w+Value)$/;
