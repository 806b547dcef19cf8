import type { RequestHead } from "./exchange.ts";
import { HttpError } from "./http-error.ts";

/**
 * The refusal of a gRPC request, which needs HTTP/2 and the gRPC engine; as a REST request it would be misread.
 * Undefined for other requests.
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
