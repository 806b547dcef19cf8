import type { RequestHead } from "./exchange.ts";
import { HttpError } from "./http-error.ts";

/**
 * Refuses gRPC, which is HTTP/2 alone and served by another engine. Read as REST it would be half understood.
 */
export function grpcRefusal({ headers }: Pick<RequestHead, "headers">): HttpError | undefined {
  const contentType = headers["content-type"];
  if (contentType === undefined || contentType === "application/json") return undefined;
  if (!contentType.trimStart().toLowerCase().startsWith("application/grpc")) return undefined;
  return new HttpError(
    501,
    "the gRPC protocol is not served here; this port speaks REST, Connect and gRPC-Web",
  );
}
