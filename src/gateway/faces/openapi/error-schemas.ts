import type { DescMessage, JsonObject } from "@bufbuild/protobuf";
import { file_google_rpc_error_details } from "../../../../gen/google/rpc/error_details_pb.ts";
import type { JsonSchema } from "../../../core/contract/json-schema.ts";
import type { FaceHost } from "../face.ts";

/** Errors that every rpc can have, by their statuses; 401 and 403 where credentials are needed. */
export const usualErrors: Readonly<Record<string, string>> = {
  "400": "The request is malformed, or a value in it is not accepted.",
  "401": "Credentials are missing, or are not accepted.",
  "403": "The caller may not do this.",
  "429": "The caller has used up a limit.",
  "503": "The server cannot take the call now.",
};

/** The errors of all rpcs, as components. */
export function errorResponses(format: FaceHost["errorFormat"]): JsonObject {
  const type = format === "problem" ? "application/problem+json" : "application/json";
  const content = { [type]: { schema: { $ref: "#/components/schemas/Error" } } };
  const retry = {
    "Retry-After": {
      description: "Seconds until another attempt makes sense.",
      schema: { type: "integer", minimum: 0 },
    },
  };
  return {
    Error: { description: "The call has failed.", content },
    ...Object.fromEntries(
      Object.entries(usualErrors).map(([status, description]) => [
        `Error${status}`,
        { description, ...((status === "429" || status === "503") && { headers: retry }), content },
      ]),
    ),
  };
}

/** The body of an error in the format of the server. */
export function errorSchema(format: FaceHost["errorFormat"]): JsonSchema {
  const code = { type: "integer", format: "int32", description: "Number of the `google.rpc.Code`." };
  const message = { type: "string", description: "What is wrong, for people." };
  const details = { type: "array", items: { $ref: "#/components/schemas/ErrorDetail" } };
  if (format === "problem") {
    const properties = {
      type: { type: "string" },
      title: { type: "string" },
      status: { type: "integer" },
      detail: message,
      code,
      details,
    };
    return { type: "object", properties, required: ["type", "title", "status", "detail", "code"] };
  }
  if (format === "google") {
    const inner = { code: { type: "integer" }, message, status: { type: "string" }, details };
    const error = { type: "object", properties: inner, required: ["code", "message", "status"] };
    return { type: "object", properties: { error }, required: ["error"] };
  }
  if (format === "status")
    return { type: "object", properties: { code, message, details }, required: ["code", "message"] };
  return {}; // The format is a function of the application.
}

function isDetail({ typeName, parent }: DescMessage): boolean {
  return parent === undefined && typeName.startsWith("google.rpc.");
}

/** A detail of an error: one of the standard types, or any other message. @param refOf schema of one of these */
export function detailSchema(refOf: (type: DescMessage) => JsonObject): JsonObject {
  const typed = (name: JsonObject): JsonObject => ({ properties: { "@type": name }, required: ["@type"] });
  const standard = file_google_rpc_error_details.messages.filter(isDetail).map((type) => ({
    allOf: [refOf(type), { type: "object", ...typed({ const: `type.googleapis.com/${type.typeName}` }) }],
  }));
  return {
    description: "A message with its type: one of the standard ones, or any other.",
    anyOf: [...standard, { type: "object", ...typed({ type: "string" }), additionalProperties: true }],
  };
}
