import { invalidArgument } from "../core/errors/errors.ts";

const most = 1_000;
const byDefault = 100;

/** How many a page has. @throws ConnectError INVALID_ARGUMENT for less than none */
export function pageSizeOf(size: number): number {
  if (size < 0) throw invalidArgument("page_size must be 0 or more");
  return size === 0 ? byDefault : Math.min(size, most);
}

/** Where the next page begins, as a text for the caller to give back. */
export function pageToken(place: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(place)).toString("base64url");
}

/** @returns nothing for an empty token. @throws ConnectError INVALID_ARGUMENT for a text that is none */
export function readPageToken(token: string, length: number): readonly (string | number)[] {
  if (token === "") return [];
  let read: unknown;
  try {
    read = JSON.parse(Buffer.from(token, "base64url").toString());
  } catch {
    read = undefined;
  }
  const isPlace = (value: unknown): value is string | number =>
    typeof value === "string" || typeof value === "number";
  if (Array.isArray(read) && read.length === length && read.every(isPlace)) return read;
  throw invalidArgument("page_token is none of a page before");
}
