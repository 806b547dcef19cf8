import { createHash } from "node:crypto";
import { invalidArgument, type ConnectError } from "../../core/errors/errors.ts";

/**
 * A token for the page that begins at `offset` of a list.
 *
 * @param query Everything that defines the list (parent, filter, order); the token is valid for the same query only.
 */
export function writePageToken(offset: number, query: readonly string[]): string {
  return Buffer.from(`${offset}.${fingerprint(query)}`).toString("base64url");
}

/**
 * The offset in a page token; 0 for an empty token. @throws ConnectError INVALID_ARGUMENT for a token of another query.
 */
export function readPageToken(token: string, query: readonly string[]): number {
  if (token === "") return 0;
  const match = /^(\d{1,9})\.(.+)$/.exec(Buffer.from(token, "base64url").toString("latin1"));
  if (match === null) throw refuse("is not a token of this list");
  if (match[2] !== fingerprint(query)) throw refuse("belongs to another parent, filter or order");
  return Number(match[1]);
}

function fingerprint(query: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(query)).digest("base64url").slice(0, 12);
}

function refuse(description: string): ConnectError {
  return invalidArgument(`the page token ${description}`, [{ field: "page_token", description }]);
}
