import type { IncomingMessage } from "node:http";
import type { DescMessage, DescMethod } from "@bufbuild/protobuf";
import { rpcName } from "../core/service.ts";
import { HttpError } from "./http-error.ts";
import type { Route } from "./routing/route.ts";

const httpBody = "google.api.HttpBody";

/** Why a route cannot be served by this release, for a 501; undefined for routes that can. */
export function whyRouteIsMissing(route: Route): HttpError | undefined {
  const { method } = route;
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
 * Refuses requests with the marks of protocols that come with a later release: Connect and gRPC-Web, and gRPC itself,
 * which has a port of its own. Read as REST they would be half understood.
 *
 * @param query the raw query of a GET without `?`
 */
export function whyProtocolIsMissing(request: IncomingMessage, query: string): HttpError | undefined {
  const { headers } = request;
  const contentType = headers["content-type"];
  if (contentType !== undefined && contentType !== "application/json") {
    const type = contentType.trimStart().toLowerCase();
    if (type.startsWith("application/grpc-web")) return missing("gRPC-Web");
    if (type.startsWith("application/grpc")) return missing("gRPC");
    if (type.startsWith("application/connect+")) return missing("Connect");
  }
  if (headers["connect-protocol-version"] !== undefined) return missing("Connect");
  if (query !== "" && request.method === "GET" && /(?:^|&)connect=v1(?:&|$)/.test(query))
    return missing("Connect");
  return undefined;
}

function missing(protocol: string): HttpError {
  const where = protocol === "gRPC" ? "is served on a port of its own" : "comes with a later release";
  return new HttpError(501, `the ${protocol} protocol ${where}; this port speaks REST with JSON`);
}
