import { hash } from "node:crypto";
import type { HttpExchange, ResponseHeaders } from "../exchange.ts";
import { matchesTag } from "./entity-tag.ts";

/** A document as it is sent. */
export interface Tagged {
  readonly body: string | Uint8Array;
  /** Its media type. */
  readonly type: string;
  /** The same as long as the content is. */
  readonly etag: string;
}

/** A document with the tag of its content. */
export function tagged(body: string | Uint8Array, type: string): Tagged {
  return { body, type, etag: `"${hash("sha256", body, "base64url").slice(0, 22)}"` };
}

/** Answers with a document: 304 without it to a client that has it. @param headers of both answers */
export function sendTagged(
  { body, type, etag }: Tagged,
  headers: Readonly<ResponseHeaders>,
  exchange: HttpExchange,
): void {
  const known = exchange.head.headers["if-none-match"];
  const fields = { ...headers, etag };
  if (known !== undefined && matchesTag(known, etag)) exchange.respond(304, fields, undefined);
  else exchange.respond(200, { ...fields, "content-type": type }, body);
}
