import { getOption, hasOption, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { faces } from "../../../../gen/ts_ms/v1/faces_pb.ts";
import type { JsonSchemas } from "../../../core/contract/json-schema.ts";
import { streamsReplies } from "../../../core/call/service.ts";
import type { Route } from "../../../core/http-rule/route.ts";
import { repliesRawBody } from "../../binding/http-body.ts";
import type { FaceHost } from "../face.ts";
import { usualErrors } from "./error-schemas.ts";
import { replyStream, type DocumentVersion } from "./stream-content.ts";

/** What the responses of routes depend on beside their rpcs. */
export interface ResponseForm {
  readonly host: FaceHost;
  readonly version: DocumentVersion;
  /** Whether replies in `application/proto` are shown. */
  readonly binary: boolean;
  /** Whether an rpc needs credentials. */
  readonly isSecured: boolean;
  /** Of a reply in JSON; undefined for none. */
  readonly example: JsonValue | undefined;
}

/** The Responses Object of a route. */
export function responsesOf(route: Route, schemas: JsonSchemas, form: ResponseForm): JsonObject {
  const errors = Object.keys(usualErrors).filter(
    (status) => form.isSecured || (status !== "401" && status !== "403"),
  );
  return {
    ...successOf(route, schemas, form),
    ...Object.fromEntries(
      errors.map((status) => [status, { $ref: `#/components/responses/Error${status}` }]),
    ),
    default: { $ref: "#/components/responses/Error" },
  };
}

function successOf(route: Route, schemas: JsonSchemas, form: ResponseForm): JsonObject {
  const { method, responseField, httpMethod } = route;
  const httpStatus = hasOption(method, faces) ? getOption(method, faces).httpStatus : 0;
  const status = String(httpStatus === 0 ? 200 : httpStatus);
  const description = "Success.";
  if (status === "204") return { [status]: { description } };
  if (repliesRawBody(route)) return { [status]: { description, content: { "*/*": {} } } };
  const schema =
    responseField === undefined
      ? schemas.of(method.output, "output")
      : schemas.ofField(responseField, "output");
  if (streamsReplies(method)) return streamResponses(route, status, schema, form);
  const hasTag = form.host.etag && httpMethod === "GET";
  const headers = {
    ...(status === "201" && { Location: { schema: { type: "string", format: "uri-reference" } } }),
    ...(hasTag && { ETag: { schema: { type: "string" } } }),
  };
  return {
    [status]: {
      description,
      ...(Object.keys(headers).length > 0 && { headers }),
      content: {
        "application/json": { schema, ...(form.example !== undefined && { example: form.example }) },
        ...(form.binary && { "application/proto": { schema: { type: "string", format: "binary" } } }),
      },
    },
    ...(hasTag && { "304": { description: "The client has this content already." } }),
  };
}

function streamResponses(
  { method }: Route,
  status: string,
  item: JsonObject,
  { host, version }: ResponseForm,
): JsonObject {
  const polled = method.methodKind === "server_streaming";
  return {
    [status]: { description: "The messages of the stream.", content: replyStream(item, version, host) },
    ...(polled && { "204": { description: "No message has come within the time of `Prefer: wait`." } }),
  };
}
