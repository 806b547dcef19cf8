import { isUtf8 } from "node:buffer";
import type { JsonObject } from "@bufbuild/protobuf";
import { AuthFailure } from "../auth-failure.ts";

/** A JWT in its compact form, read but not verified. */
export interface Token {
  readonly text: string;
  readonly alg: string;
  /** Key that it names; undefined for none. */
  readonly kid: string | undefined;
  /** Media type in lower case without `application/`; undefined for none. */
  readonly typ: string | undefined;
  readonly claims: JsonObject;
}

/** A longer key id is refused, in characters. */
const maxKeyId = 256;

/** Headers of tokens as they were read: all tokens that a key has signed have the same. As many at most. */
const headers = new Map<string, TokenHeader>();
const maxHeaders = 100;

/** What is used of a header. */
type TokenHeader = Pick<Token, "alg" | "kid" | "typ">;

/** Whether a credential has the three parts of a signed JWT. */
export function isCompactJws(text: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]*$/.test(text);
}

/**
 * Reads a token. Of its header only `alg`, `kid` and `typ` are ever used: keys and addresses in it (`jwk`, `jku`,
 * `x5c`, `x5u`) come from the one who wants to be let in (RFC 8725 3.5, 3.10).
 *
 * @param text as `isCompactJws` has found it
 * @throws AuthFailure for anything that is no JWT, or one with `crit` (RFC 7515 4.1.11)
 */
export function readToken(text: string): Token {
  const [head = "", body = ""] = text.split(".", 2);
  let header = headers.get(head);
  if (header === undefined) {
    header = readHeader(head);
    if (headers.size >= maxHeaders) headers.clear();
    headers.set(head, header);
  }
  const { alg, kid, typ } = header;
  return { text, alg, kid, typ, claims: readPart(body) };
}

function readHeader(head: string): TokenHeader {
  const { alg, kid, typ, crit } = readPart(head);
  if (typeof alg !== "string" || crit !== undefined) throw malformed();
  if (kid !== undefined && (typeof kid !== "string" || kid.length > maxKeyId)) throw malformed();
  if (typ !== undefined && typeof typ !== "string") throw malformed();
  return { alg, kid, typ: typ?.toLowerCase().replace(/^application\//, "") };
}

/** The refusal of what is no JWT. */
export function malformed(): AuthFailure {
  return new AuthFailure("TOKEN_MALFORMED", "the token is malformed");
}

function readPart(part: string): JsonObject {
  let value: unknown;
  try {
    const bytes = Buffer.from(part, "base64url");
    if (!isUtf8(bytes)) throw malformed();
    value = JSON.parse(bytes.toString("utf8"));
  } catch {
    throw malformed();
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed();
  return value as JsonObject; // What JSON.parse made, an object as checked.
}
