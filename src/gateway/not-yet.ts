import type { IncomingMessage } from "node:http";
import type { DescMessage, DescMethod } from "@bufbuild/protobuf";
import { rpcName } from "../core/service.ts";
import { HttpError } from "./http-error.ts";
import type { Route } from "./routing/route.ts";

const httpBody = "google.api.HttpBody";

/** Why a route cannot be served by this release, for a 501; undefined for routes that can. */
export function whyRouteIsMissing(route: Route): HttpError | undefined {
  const { method } = route;
  if (method.methodKind !== "unary") {
    const kind = method.methodKind.replaceAll("_", " ");
    return new HttpError(
      501,
      `${rpcName(method)} is a ${kind} rpc: streams over HTTP come with a later release; call it over gRPC`,
    );
  }
  if (usesHttpBody(method, route)) {
    return new HttpError(
      501,
      `${rpcName(method)} uses ${httpBody}: raw bodies come with a later release; call it over gRPC`,
    );
  }
  return undefined;
}

function usesHttpBody(method: DescMethod, { bodyField, responseField }: Route): boolean {
  const body = typeof bodyField === "object" ? bodyField.at(-1)?.message : method.input;
  const isHttpBody = (message: DescMessage | undefined): boolean => message?.typeName === httpBody;
  return isHttpBody(body) || isHttpBody(responseField === undefined ? method.output : responseField.message);
}

/**
 * Refuses gRPC, which is HTTP/2 alone and served by another engine. Read as REST it would be half understood.
 */
export function whyProtocolIsMissing({ headers }: IncomingMessage): HttpError | undefined {
  const contentType = headers["content-type"];
  if (contentType === undefined || contentType === "application/json") return undefined;
  if (!contentType.trimStart().toLowerCase().startsWith("application/grpc")) return undefined;
  return new HttpError(
    501,
    "the gRPC protocol is not served here; this port speaks REST, Connect and gRPC-Web",
  );
}
