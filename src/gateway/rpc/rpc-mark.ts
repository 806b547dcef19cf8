import type { IncomingMessage } from "node:http";

/**
 * The protocol that a request shows by its marks: a Connect stream and gRPC-Web by their content types, a Connect GET by
 * `connect=v1`, a Connect POST by `Connect-Protocol-Version`.
 */
export type RpcMark = "connect-post" | "connect-get" | "connect-stream" | "grpc-web";

const connectGet = /[?&]connect=v1(?:&|$)/;

/** The marks of a request; undefined for REST. Asked of every request, so the usual ones are told apart first. */
export function rpcMark({ headers, method, url = "" }: IncomingMessage): RpcMark | undefined {
  const contentType = headers["content-type"];
  if (contentType !== undefined && contentType !== "application/json") {
    const type = contentType.trimStart().toLowerCase();
    if (type.startsWith("application/grpc-web")) return "grpc-web";
    if (type.startsWith("application/connect+")) return "connect-stream";
  }
  if (method === "GET") return connectGet.test(url) ? "connect-get" : undefined;
  return headers["connect-protocol-version"] === undefined || method !== "POST" ? undefined : "connect-post";
}
