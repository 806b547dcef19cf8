import type { HttpBody } from "../../../../../gen/google/api/httpbody_pb.ts";

/** Request headers that become metadata if the reply is a file (RFC 9110, sections 14.2 and 13.1.5). */
export const rangeHeaders: readonly string[] = Object.freeze(["range", "if-range"]);

/** Metadata that describes a file and becomes headers of its reply with the same names. */
const fileHeaders = [
  "content-disposition",
  "content-range",
  "etag",
  "cache-control",
  "accept-ranges",
  "last-modified",
];

const printable = /^[\x20-\x7e]+$/;

/** Calls `set` with the headers in the metadata of a reply that describe its file. */
export function setFileHeaders(
  header: Headers | undefined,
  set: (name: string, value: string) => void,
): void {
  if (header === undefined) return;
  for (const name of fileHeaders) {
    const value = header.get(name);
    if (value !== null && printable.test(value)) set(name, value);
  }
}

/** The `Content-Type` of a file; `application/octet-stream` if it has none or one that is not a valid header value. */
export function contentTypeOf(body: HttpBody | undefined): string {
  const type = body?.contentType ?? "";
  return printable.test(type) ? type : "application/octet-stream";
}

/**
 * The header that stops browsers from guessing another content type; without it they would render a file that looks
 * like a page.
 */
export const noSniff = ["x-content-type-options", "nosniff"] as const;

/**
 * The length of a streamed file in bytes: the metadata `x-http-content-length` of the service, since gRPC reserves
 * `content-length`, else the length of `content-range`. Undefined if both are missing.
 */
export function lengthOf(header: Headers | undefined): number | undefined {
  const declared = header?.get("x-http-content-length");
  if (declared !== undefined && declared !== null)
    return /^\d{1,15}$/.test(declared) ? Number(declared) : undefined;
  const [, first, last] = /^bytes (\d{1,15})-(\d{1,15})\//.exec(header?.get("content-range") ?? "") ?? [];
  if (first === undefined || last === undefined) return undefined;
  return Number(last) >= Number(first) ? Number(last) - Number(first) + 1 : undefined;
}
