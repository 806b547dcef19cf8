import type { IncomingMessage } from "node:http";
import { HttpError } from "./http-error.ts";

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
