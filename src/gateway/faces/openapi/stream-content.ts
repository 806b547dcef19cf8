import type { JsonObject } from "@bufbuild/protobuf";
import type { FaceHost } from "../face.ts";

/** The version of OpenAPI that a document is written in. */
export type DocumentVersion = "3.1.1" | "3.2.0";

/** An event of Server-Sent Events, whose data is a message as text. */
function eventOf(item: JsonObject): JsonObject {
  return {
    type: "object",
    properties: {
      id: { type: "string" },
      event: { type: "string" },
      data: { type: "string", contentMediaType: "application/json", contentSchema: item },
    },
    required: ["data"],
  };
}

/**
 * The media types of a stream of messages. OpenAPI 3.2 says what an item is; before, a stream is described as the array of
 * its items.
 */
export function streamContent(
  item: JsonObject,
  version: DocumentVersion,
  types: readonly string[],
): Record<string, JsonObject> {
  const has32 = version === "3.2.0";
  return Object.fromEntries(
    types.map((type) => {
      const one = type === "text/event-stream" ? eventOf(item) : item;
      const isArray = type === "application/json" || !has32;
      return [type, isArray ? { schema: { type: "array", items: one } } : { itemSchema: one }];
    }),
  );
}

/** The media types of a stream of replies, as a server sends them. */
export function replyStream(
  item: JsonObject,
  version: DocumentVersion,
  { compat, arrayError }: Pick<FaceHost, "compat" | "arrayError">,
): Record<string, JsonObject> {
  const lines = streamContent(item, version, ["application/x-ndjson", "text/event-stream"]);
  const failed = {
    type: "object",
    properties: { error: { $ref: "#/components/schemas/Error" } },
    required: ["error"],
  };
  if (compat === "grpc-gateway") {
    const result = { type: "object", properties: { result: item }, required: ["result"] };
    const line = { anyOf: [result, failed] };
    return { "application/json": version === "3.2.0" ? { itemSchema: line } : { schema: line }, ...lines };
  }
  const element = arrayError === "element" ? { anyOf: [item, failed] } : item;
  return { ...lines, ...streamContent(element, version, ["application/json"]) };
}
