import type { JsonObject } from "@bufbuild/protobuf";
import type { Route } from "../../../core/http-rule/route.ts";
import { repliesRawBody } from "../../binding/http-body.ts";
import type { FaceHost } from "../face.ts";

/** The headers by which a client chooses how a route answers. */
export function headerParameters(route: Route, { etag }: Pick<FaceHost, "etag">): JsonObject[] {
  const { methodKind } = route.method;
  if (methodKind === "server_streaming" && !repliesRawBody(route)) {
    const description =
      "`wait=SECONDS` asks for the messages of that time alone, in a JSON array (long polling, RFC 7240).";
    return [{ name: "Prefer", in: "header", description, schema: { type: "string" } }];
  }
  if (!etag || route.httpMethod !== "GET" || methodKind !== "unary" || repliesRawBody(route)) return [];
  const description = "The `ETag` of content that the client has.";
  return [{ name: "If-None-Match", in: "header", description, schema: { type: "string" } }];
}
