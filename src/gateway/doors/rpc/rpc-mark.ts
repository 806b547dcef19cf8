import type { IncomingMessage } from "node:http";

/**
 * The protocol that a request shows by its marks: a Connect stream, gRPC-Web and gRPC by their content types, a Connect GET by
 * `connect=v1`, a Connect POST by `Connect-Protocol-Version`; whether it is a POST is still to be looked at.
 */
export type RpcMark = "connect-post" | "connect-get" | "connect-stream" | "grpc-web" | "grpc";

const connectGet = /[?&]connect=v1(?:&|$)/;

/** The marks of a request; undefined for REST. Asked of every request, so the usual ones are told apart first. */
export function rpcMark({
  headers,
  method,
  url = "",
  httpVersionMajor,
}: IncomingMessage): RpcMark | undefined {
  const contentType = headers["content-type"];
  if (contentType !== undefined && contentType !== "application/json") {
    const type = contentType.trimStart().toLowerCase();
    if (type.startsWith("application/grpc-web")) return "grpc-web";
    // On HTTP/1 there are no trailers that a client could be sure of.
    if (type.startsWith("application/grpc")) return httpVersionMajor === 2 ? "grpc" : undefined;
    if (type.startsWith("application/connect+")) return "connect-stream";
  }
  if (method === "GET") return connectGet.test(url) ? "connect-get" : undefined;
  return headers["connect-protocol-version"] === undefined ? undefined : "connect-post";
}
