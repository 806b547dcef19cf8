import type { HttpBody } from "../../../../../gen/google/api/httpbody_pb.ts";

/** Request headers that are metadata where the reply is a file (RFC 9110, sections 14.2 and 13.1.5). */
export const rangeHeaders: readonly string[] = Object.freeze(["range", "if-range"]);

/** Metadata that describes a file and becomes headers of its reply under these very names. */
const fileHeaders = [
  "content-disposition",
  "content-range",
  "etag",
  "cache-control",
  "accept-ranges",
  "last-modified",
];

const printable = /^[\x20-\x7e]+$/;

/** Hands what the metadata of a reply says of the file in it to `set`. */
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

/** The `Content-Type` of a file; that of unknown bytes where it has none, or none that a header could hold. */
export function contentTypeOf(body: HttpBody | undefined): string {
  const type = body?.contentType ?? "";
  return printable.test(type) ? type : "application/octet-stream";
}

/** The header by which browsers take the content type for what it says; without it they would run what looks like a page. */
export const noSniff = ["x-content-type-options", "nosniff"] as const;

/**
 * How many bytes a file in pieces will have: what the service says by the metadata `x-http-content-length`, as gRPC
 * keeps `content-length` for itself, else what `content-range` covers. Undefined where neither says.
 */
export function lengthOf(header: Headers | undefined): number | undefined {
  const said = header?.get("x-http-content-length");
  if (said !== undefined && said !== null) return /^\d{1,15}$/.test(said) ? Number(said) : undefined;
  const [, first, last] = /^bytes (\d{1,15})-(\d{1,15})\//.exec(header?.get("content-range") ?? "") ?? [];
  if (first === undefined || last === undefined) return undefined;
  return Number(last) >= Number(first) ? Number(last) - Number(first) + 1 : undefined;
}
