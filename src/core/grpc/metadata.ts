import type { IncomingHttpHeaders } from "node:http2";
import { Metadata } from "@grpc/grpc-js";
import { isReservedHeader } from "../reserved-headers.ts";

/**
 * Conversions between `Headers`, the vocabulary's form of metadata, and the forms of gRPC.
 *
 * In `Headers` a binary value (name ending in `-bin`) is base64 as `encodeBinaryHeader` writes it, without padding;
 * several values of one name are joined by ", " as everywhere in `Headers`. Reserved names (`isReservedHeader`) cross
 * in neither direction.
 */

const binarySuffix = "-bin";
const base64 = /^[A-Za-z0-9+/]*={0,2}$/;
const visibleAscii = /^[ -~]*$/;
const legalName = /^[0-9a-z_.-]+$/;

/** Metadata whose binary values leave without padding, as the specification asks of senders; grpc-js adds it. */
export class WireMetadata extends Metadata {
  override toHttp2Headers(): ReturnType<Metadata["toHttp2Headers"]> {
    const headers = super.toHttp2Headers();
    for (const name in headers) {
      if (!name.endsWith(binarySuffix)) continue;
      const value = headers[name];
      headers[name] = Array.isArray(value) ? value.map(withoutPadding) : withoutPadding(String(value));
    }
    return headers;
  }

  override clone(): WireMetadata {
    const copy = new WireMetadata(this.getOptions());
    copy.merge(this);
    return copy;
  }
}

/** The metadata among the headers of an HTTP/2 request, as handlers see it. */
export function fromHttp2Headers(fields: IncomingHttpHeaders): Headers {
  const headers = new Headers();
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    if (value === undefined || isReservedHeader(name)) continue;
    for (const one of typeof value === "string" ? [value] : value) append(headers, name, one);
  }
  return headers;
}

/** The metadata that a peer sent, as grpc-js read it. */
export function fromMetadata(metadata: Metadata): Headers {
  const headers = new Headers();
  // toJSON is the one public way to see every value of every name.
  for (const [name, values] of Object.entries(metadata.toJSON())) {
    if (isReservedHeader(name)) continue;
    for (const value of values) {
      append(headers, name, typeof value === "string" ? value : value.toString("base64"));
    }
  }
  return headers;
}

/**
 * The metadata of `headers`, ready to be sent.
 *
 * Reserved names stay behind, and so do what gRPC cannot carry: names with other characters than lower-case letters,
 * digits, `_`, `.`, `-`; values that are not printable ASCII; binary values that are not base64.
 */
export function toMetadata(headers: Headers): Metadata {
  return addHeaders(new WireMetadata(), headers);
}

/** Adds the metadata of `headers` to `metadata`, as `toMetadata` does, and returns it. */
export function addHeaders(metadata: Metadata, headers: Headers): Metadata {
  for (const [name, value] of headers) {
    if (isReservedHeader(name) || !legalName.test(name)) continue;
    if (!name.endsWith(binarySuffix)) {
      if (visibleAscii.test(value)) metadata.add(name, value);
      continue;
    }
    for (const part of value.split(",")) {
      const bytes = decodeBinary(part.trim());
      if (bytes !== undefined) metadata.add(name, bytes);
    }
  }
  return metadata;
}

/** Whether every `-bin` field of a request is base64, padded or not, one or several joined by commas. */
export function hasValidBinaries(fields: IncomingHttpHeaders): boolean {
  for (const name in fields) {
    if (!name.endsWith(binarySuffix)) continue;
    const value = fields[name];
    const values = typeof value === "string" ? [value] : (value ?? []);
    if (!values.every((one) => one.split(",").every((part) => isBase64(part.trim())))) return false;
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

function isBase64(text: string): boolean {
  return base64.test(text) && text.replace(/=+$/, "").length % 4 !== 1;
}

function decodeBinary(text: string): Buffer | undefined {
  return isBase64(text) ? Buffer.from(text, "base64") : undefined;
}

function withoutPadding(base64Text: string): string {
  return base64Text.replace(/=+$/, "");
}
