import type { IncomingHttpHeaders, IncomingHttpStatusHeader } from "node:http2";
import { Code, ConnectError, decodeStatusDetails, fromStatus, toCode } from "../errors/errors.ts";
import { isReservedHeader } from "../metadata/reserved-headers.ts";
import { errorCode } from "./http2-error.ts";

/** Codes for HTTP statuses without a gRPC status (grpc/grpc doc/http-grpc-status-mapping.md). */
const httpCodes: ReadonlyMap<number, Code> = new Map([
  [400, Code.Internal],
  [401, Code.Unauthenticated],
  [403, Code.PermissionDenied],
  [404, Code.Unimplemented],
  [429, Code.Unavailable],
  [502, Code.Unavailable],
  [503, Code.Unavailable],
  [504, Code.Unavailable],
]);

/** Codes for HTTP/2 error codes of reset streams (gRPC over HTTP/2, Errors); the others are INTERNAL. */
const resetCodes: ReadonlyMap<number, Code> = new Map([
  [errorCode.refusedStream, Code.Unavailable],
  [errorCode.cancel, Code.Canceled],
  [errorCode.enhanceYourCalm, Code.ResourceExhausted],
  [errorCode.inadequateSecurity, Code.PermissionDenied],
  [errorCode.streamClosed, Code.Unknown],
]);

/** Where `metadataBytes` notes its result: replies whose header blocks have the same bytes share their fields. */
const knownBytes = Symbol("bytes of metadata");

/** Fields of a reply's headers or trailers, as parsed by Node. */
export type ReplyFields = IncomingHttpHeaders & IncomingHttpStatusHeader & { [knownBytes]?: number };

/**
 * Size of a reply's metadata without the fields of the protocol, in bytes, as HTTP/2 counts header lists (RFC 9113
 * 6.5.2); 0 for none.
 */
export function metadataBytes(fields: ReplyFields): number {
  const known = fields[knownBytes];
  if (known !== undefined) return known;
  let bytes = 0;
  for (const name in fields) {
    if (!isReservedHeader(name)) bytes += name.length + String(fields[name]).length + 32;
  }
  return (fields[knownBytes] = bytes);
}

/** The error of reply headers that are followed by a body; undefined if they are valid. */
export function responseFault(headers: ReplyFields): ConnectError | undefined {
  const status = headers[":status"];
  if (headers["grpc-status"] !== undefined) return undefined;
  if (status !== 200) {
    const code = httpCodes.get(status ?? 0) ?? Code.Unknown;
    return new ConnectError(`the server answered with HTTP status ${status} and no gRPC status`, code);
  }
  const type = headers["content-type"];
  if (type === "application/grpc" || type === "application/grpc+proto") return undefined;
  if (type === undefined || !/^application\/grpc/i.test(type)) {
    return new ConnectError("the server answered with something that is not gRPC", Code.Unknown);
  }
  if (/^application\/grpc(?:\+proto)?\s*(?:;|$)/i.test(type)) return undefined;
  return new ConnectError("the server answered in another format than protobuf", Code.Internal);
}

/** The error in the trailers of a reply or in a Trailers-Only reply; undefined for OK. */
export function statusError(fields: ReplyFields): ConnectError | undefined {
  const status = fields["grpc-status"];
  if (status === "0") return undefined;
  if (typeof status !== "string") {
    // Trailers have no HTTP status: that of the headers was checked when they arrived.
    return (fields[":status"] === undefined ? undefined : responseFault(fields)) ?? endedWithoutStatus();
  }
  const code = /^\d{1,10}$/.test(status) ? Number(status) : Code.Unknown;
  if (code === 0) return undefined;
  const details = fields["grpc-status-details-bin"];
  const rich = typeof details === "string" ? decodeStatusDetails(Buffer.from(details, "base64")) : undefined;
  if (rich !== undefined && rich.code === code) return fromStatus(rich);
  return new ConnectError(decodeMessage(fields["grpc-message"]), toCode(code));
}

/** The error of a reply that HTTP/2 completed without a gRPC status. */
export function endedWithoutStatus(): ConnectError {
  return new ConnectError("the reply ended without a status", Code.Unknown);
}

/** The error of a call whose stream the server has reset. */
export function resetError(rstCode: number): ConnectError {
  return new ConnectError(
    `the server reset the call (HTTP/2 code ${rstCode})`,
    resetCodes.get(rstCode) ?? Code.Internal,
  );
}

function decodeMessage(text: string | string[] | undefined): string {
  if (typeof text !== "string") return "";
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // Invalid percent-encoding: the text is used as received.
  }
}
