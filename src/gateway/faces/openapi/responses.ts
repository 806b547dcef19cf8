import { getOption, type JsonObject } from "@bufbuild/protobuf";
import { faces } from "../../../../gen/ts_ms/v1/faces_pb.ts";
import type { JsonSchema, JsonSchemas } from "../../../core/contract/json-schema.ts";
import { streamsReplies } from "../../../core/call/service.ts";
import type { Route } from "../../../core/http-rule/route.ts";
import { repliesRawBody } from "../../binding/http-body.ts";
import type { FaceHost } from "../face.ts";
import { streamContent, type DocumentVersion } from "./stream-content.ts";

/** Errors that every rpc can have, by their statuses; 401 and 403 where credentials are needed. */
const usual: Readonly<Record<string, string>> = {
  "400": "The request is malformed, or a value in it is not accepted.",
  "401": "Credentials are missing, or are not accepted.",
  "403": "The caller may not do this.",
  "429": "The caller has used up a limit.",
  "503": "The server cannot take the call now.",
};

/** The Responses Object of a route. */
export function responsesOf(
  route: Route,
  schemas: JsonSchemas,
  {
    binary,
    version,
    isSecured,
  }: { readonly binary: boolean; readonly version: DocumentVersion; readonly isSecured: boolean },
): JsonObject {
  const errors = Object.keys(usual).filter((status) => isSecured || (status !== "401" && status !== "403"));
  return {
    ...successOf(route, schemas, { binary, version }),
    ...Object.fromEntries(
      errors.map((status) => [status, { $ref: `#/components/responses/Error${status}` }]),
    ),
    default: { $ref: "#/components/responses/Error" },
  };
}

function successOf(
  route: Route,
  schemas: JsonSchemas,
  { binary, version }: { readonly binary: boolean; readonly version: DocumentVersion },
): JsonObject {
  const { method, responseField } = route;
  const { httpStatus } = getOption(method, faces);
  const status = String(httpStatus === 0 ? 200 : httpStatus);
  const description = "Success.";
  if (status === "204") return { [status]: { description } };
  if (repliesRawBody(route)) return { [status]: { description, content: { "*/*": {} } } };
  const schema =
    responseField === undefined
      ? schemas.of(method.output, "output")
      : schemas.ofField(responseField, "output");
  if (streamsReplies(method)) {
    const content = streamContent(schema, version, [
      "application/x-ndjson",
      "text/event-stream",
      "application/json",
    ]);
    const polled = method.methodKind === "server_streaming";
    return {
      [status]: { description: "The messages of the stream.", content },
      ...(polled && { "204": { description: "No message has come within the time of `Prefer: wait`." } }),
    };
  }
  const headers =
    status === "201"
      ? { headers: { Location: { schema: { type: "string", format: "uri-reference" } } } }
      : {};
  return {
    [status]: {
      description,
      ...headers,
      content: {
        "application/json": { schema },
        ...(binary && { "application/proto": { schema: { type: "string", format: "binary" } } }),
      },
    },
  };
}

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
      Object.entries(usual).map(([status, description]) => [
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
