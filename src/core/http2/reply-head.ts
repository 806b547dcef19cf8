import type { HpackDecoder } from "./hpack/decoder.ts";
import type { ReplyFields } from "./reply-status.ts";

/** Headers or trailers of a reply. Blocks with the same bytes share one object, which must not be changed. */
export interface ReplyHead {
  readonly fields: ReplyFields;
  /** The HTTP status; 0 for trailers. */
  readonly status: number;
  /** The length of the body as declared, in bytes; -1 for none. */
  readonly contentLength: number;
  /** Why the reply is malformed (RFC 9113 8.1.1); undefined if it is not. */
  readonly fault: string | undefined;
  /** Whether fields were dropped, since the list is above the limit. */
  readonly tooLarge: boolean;
}

/** Fields of which only the first counts; values of others are joined, as Node does it. */
const single: ReadonlySet<string> = new Set([
  ...["access-control-allow-credentials", "access-control-max-age", "access-control-request-method", "age"],
  ...["authorization", "content-encoding", "content-language", "content-length", "content-location"],
  ...["content-md5", "content-range", "content-type", "date", "dnt", "etag", "expires", "from", "host"],
  ...["if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "last-modified"],
  ...["location", "max-forwards", "proxy-authorization", "range", "referer", "retry-after", "tk"],
  ...["upgrade-insecure-requests", "user-agent", "x-content-type-options"],
]);

/** Fields of HTTP/1.1 that HTTP/2 does not have (RFC 9113 8.2.2). */
export const ofConnections: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

/** Names of fields. */
export const legalName = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
const illegalValue = /[\0\r\n]/;

/** Decodes a header block. @throws CompressionError as the decoder does */
export function readReplyHead(decoder: HpackDecoder, bytes: Buffer, start: number, end: number): ReplyHead {
  // Objects of this shape come from Node with the other engine.
  const fields = Object.create(null) as Record<string, string | string[] | number>;
  let status: string | undefined;
  let fault: string | undefined;
  let pseudoEnded = false;
  decoder.decode(bytes, start, end, (name, value) => {
    if (name.startsWith(":")) {
      if (pseudoEnded) fault ??= "a pseudo field after others";
      if (name !== ":status" || status !== undefined) fault ??= `the field ${shown(name)} in a reply`;
      status = value;
      return;
    }
    pseudoEnded = true;
    if (!legalName.test(name)) fault ??= `the field name ${shown(name)}`;
    else if (ofConnections.has(name)) fault ??= `the field ${name}, which HTTP/2 does not have`;
    else if (illegalValue.test(value)) fault ??= `CR, LF or NUL in the field ${name}`;
    addTo(fields, name, value);
  });
  if (status !== undefined && !/^[1-9]\d\d$/.test(status)) fault ??= `the status ${shown(status)}`;
  if (status !== undefined) fields[":status"] = Number(status);
  const length = fields["content-length"];
  if (length !== undefined && !/^\d{1,15}$/.test(String(length))) fault ??= "the field content-length";
  return {
    fields: fields as ReplyFields, // As Node's types describe such objects.
    status: status === undefined ? 0 : Number(status),
    contentLength: length === undefined ? -1 : Number(length),
    fault,
    tooLarge: decoder.tooLarge,
  };
}

/** Adds a field to those of a block as Node does it. */
export function addTo(fields: Record<string, string | string[] | number>, name: string, value: string): void {
  const before = fields[name];
  if (before === undefined) fields[name] = name === "set-cookie" ? [value] : value;
  else if (Array.isArray(before)) before.push(value);
  else if (!single.has(name)) fields[name] = `${before}${name === "cookie" ? "; " : ", "}${value}`;
}

/** A name or value for a message: short, on one line. */
export function shown(text: string): string {
  return JSON.stringify(text.slice(0, 40));
}
