import type { IncomingHttpHeaders } from "node:http2";
import type { HpackDecoder } from "./hpack/decoder.ts";
import { addTo, legalName, ofConnections, shown } from "./reply-head.ts";

/** A header block of a client. Blocks with the same bytes share one object, which must not be changed. */
export interface IncomingRequest {
  /** Fields as Node has them, pseudo fields among them; names in lower case. */
  readonly fields: IncomingHttpHeaders;
  /** Names and values as they came, by turns. */
  readonly rawFields: readonly string[];
  /** The length of the body as declared, in bytes; -1 for none. */
  readonly contentLength: number;
  /** Whether the block has pseudo fields, which trailers have not. */
  readonly hasPseudo: boolean;
  /** Why a request with this block is malformed (RFC 9113 8.1.1, 8.3.1); undefined if it is not. */
  readonly fault: string | undefined;
  /** Whether fields were dropped, since the list is above the limit. */
  readonly tooLarge: boolean;
}

const pseudoNames: ReadonlySet<string> = new Set([":method", ":scheme", ":authority", ":path"]);
const legalMethod = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const legalPath = /^[!-~\u0080-\u00ff]+$/;
/** All control characters but the tab. */
const illegalValue = /[\0-\u0008\u000a-\u001f\u007f]/;

/** Decodes a header block of a client. @throws CompressionError as the decoder does */
export function readIncomingRequest(
  decoder: HpackDecoder,
  bytes: Buffer,
  start: number,
  end: number,
): IncomingRequest {
  return incomingRequest(
    (add) => decoder.decode(bytes, start, end, add),
    () => decoder.tooLarge,
  );
}

/**
 * The request whose fields `each` adds in their order, checked by rules that HTTP/2 and HTTP/3 share.
 *
 * @param tooLarge whether fields were dropped; asked once all were added
 */
export function incomingRequest(
  each: (add: (name: string, value: string) => void) => void,
  tooLarge: () => boolean,
): IncomingRequest {
  // Objects of this shape come from Node with the other engine.
  const fields = Object.create(null) as Record<string, string | string[] | number>;
  const rawFields: string[] = [];
  let fault: string | undefined;
  let pseudo = 0;
  each((name, value) => {
    rawFields.push(name, value);
    if (name.startsWith(":")) {
      if (pseudo * 2 + 2 < rawFields.length) fault ??= "a pseudo field after others";
      pseudo++;
      if (!pseudoNames.has(name) || fields[name] !== undefined) fault ??= `the field ${shown(name)}`;
      else if (illegalValue.test(value)) fault ??= `a control character in ${name}`;
      fields[name] = value;
      return;
    }
    fault ??= faultOf(name, value);
    if (name === "content-length" && fields[name] !== undefined && fields[name] !== value) {
      fault ??= "two fields content-length";
    }
    addTo(fields, name, value);
  });
  const found = fields as IncomingHttpHeaders; // As Node's types describe such objects.
  const length = found["content-length"];
  if (length !== undefined && !/^\d{1,15}$/.test(length)) fault ??= "the field content-length";
  const isTooLarge = tooLarge();
  if (pseudo > 0 && !isTooLarge) fault ??= requestFault(found);
  const contentLength = length === undefined ? -1 : Number(length);
  return { fields: found, rawFields, contentLength, hasPseudo: pseudo > 0, fault, tooLarge: isTooLarge };
}

function faultOf(name: string, value: string): string | undefined {
  if (!legalName.test(name)) return `the field name ${shown(name)}`;
  if (ofConnections.has(name)) return `the field ${name}, which HTTP/2 does not have`;
  if (name === "te" && value.toLowerCase() !== "trailers") return "the field te";
  if (illegalValue.test(value)) return `a control character in the field ${name}`;
  return undefined;
}

function requestFault(fields: IncomingHttpHeaders): string | undefined {
  const { ":method": method, ":scheme": scheme, ":path": path, ":authority": authority } = fields;
  if (method === undefined || !legalMethod.test(method)) return "no method";
  if (method === "CONNECT") {
    const isTunnel = scheme === undefined && path === undefined && authority !== undefined;
    return isTunnel ? undefined : "CONNECT with a scheme or path";
  }
  if (scheme === undefined || scheme === "") return "no scheme";
  if (path === undefined || !legalPath.test(path)) return "no path";
  if (path.charCodeAt(0) === 0x2f || (path === "*" && method === "OPTIONS")) return undefined;
  return "a path that does not begin with a slash";
}
