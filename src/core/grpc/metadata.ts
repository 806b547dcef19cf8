import type { IncomingHttpHeaders } from "node:http2";
import { isBase64, isBase64Header } from "../codec/base64-text.ts";
import type { TakeHeader } from "../metadata/header-source.ts";
import { isIdentityHeader } from "../metadata/identity-headers.ts";
import { isReservedHeader } from "../metadata/reserved-headers.ts";

/**
 * Conversions between `Headers`, Connect's form of metadata, and the forms of gRPC.
 *
 * In `Headers` a binary value (name ending in `-bin`) is base64 as `encodeBinaryHeader` writes it, without padding;
 * several values of one name are joined by ", " as everywhere in `Headers`. Reserved names (`isReservedHeader`) are
 * dropped in both directions.
 */

const binarySuffix = "-bin";
const visibleAscii = /^[ -~]*$/;
const legalName = /^[0-9a-z_.-]+$/;

/**
 * The metadata of a request for its handler, without the identity headers of a client that is not trusted to set them.
 */
export function fromRequestHeaders(fields: IncomingHttpHeaders): Headers {
  const headers = fromHttp2Headers(fields);
  for (const name of [...headers.keys()]) if (isIdentityHeader(name)) headers.delete(name);
  return headers;
}

/** The metadata among the headers of an HTTP/2 request or reply. */
export function fromHttp2Headers(fields: IncomingHttpHeaders): Headers {
  const headers = new Headers();
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    if (value === undefined || isReservedHeader(name)) continue;
    for (const one of typeof value === "string" ? [value] : value) append(headers, name, one);
  }
  return headers;
}

/**
 * Appends the metadata of `headers` to a list of header fields (name, value, name, value), without reserved names and
 * without what gRPC cannot carry: names with other characters than lower-case letters, digits, `_`, `.`, `-`; values that
 * are not printable ASCII; binary values that are not base64. Those that are have no padding. Returns the list.
 */
export function addFields(fields: string[], headers: Headers): string[] {
  for (const [name, value] of headers) addMetadata(fields, name, value);
  return fields;
}

/** Appends one entry of metadata to a list of header fields, as `addFields` does. */
export function addMetadata(fields: string[], name: string, value: string): void {
  passField(name, value, (key, one) => {
    fields.push(key, key.endsWith(binarySuffix) ? withoutPadding(one) : one);
  });
}

/** Appends a header to a list of header fields, as `addFields` does, with the padding that it has. */
export function addField(fields: string[], name: string, value: string): void {
  passField(name, value, (key, one) => void fields.push(key, one));
}

/** Calls `add` with a header if gRPC can carry it; once for each value of a binary header with several. */
function passField(name: string, value: string, add: TakeHeader): void {
  if (isReservedHeader(name) || !legalName.test(name)) return;
  if (!name.endsWith(binarySuffix)) {
    if (visibleAscii.test(value)) add(name, value);
    return;
  }
  for (const part of value.split(",")) {
    const text = part.trim();
    if (isBase64(text)) add(name, text);
  }
}

/** Whether every `-bin` field of a request is base64, padded or not, one or several joined by commas. */
export function hasValidBinaries(fields: IncomingHttpHeaders): boolean {
  for (const name in fields) {
    if (!name.endsWith(binarySuffix)) continue;
    const value = fields[name];
    if (value !== undefined && !isBase64Header(value)) return false;
  }
  return true;
}

function append(headers: Headers, name: string, value: string): void {
  if (!name.endsWith(binarySuffix)) {
    headers.append(name, value);
    return;
  }
  for (const part of value.split(",")) headers.append(name, withoutPadding(part.trim()));
}

function withoutPadding(base64Text: string): string {
  return base64Text.replace(/=+$/, "");
}
