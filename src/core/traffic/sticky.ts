import type { CallContext } from "../call/context.ts";
import { show } from "../config/check-options.ts";
import { SetupError } from "../errors/setup-error.ts";
import { valueReader } from "./matcher.ts";

/** Keeps each caller on its side: by a cookie that is set for it, or by a header that it sends. */
export interface StickyInit {
  /** Name of the cookie. It is set on answers over HTTP to callers that have none; others are placed for each call. */
  readonly cookie?: string;
  /** Name of the header, for example that of a user's id. A caller without it is placed for each call. */
  readonly header?: string;
  /** How long browsers keep the cookie, in milliseconds. Default: 86,400,000, a day. */
  readonly maxAgeMs?: number;
}

/** Places of callers on the scale: 0 to 9,999. */
export const places = 10_000;

/** A place, and whether it is the caller's own. */
export interface Placed {
  readonly place: number;
  readonly isKept: boolean;
}

/** Gives the place of the caller of each call. */
export type PlaceCaller = (context: CallContext) => Placed;

/** @throws SetupError naming place and member */
export function placeSticky(sticky: StickyInit, where: string, random: () => number): PlaceCaller {
  const { maxAgeMs = 86_400_000, ...from } = sticky;
  const read = valueReader(from, where);
  if (typeof maxAgeMs !== "number" || !(maxAgeMs >= 1_000)) {
    throw new SetupError(`${where}: maxAgeMs must be a number from 1000, not ${show(maxAgeMs)}`);
  }
  const byChance = (): Placed => ({ place: Math.floor(random() * places), isKept: false });
  const { cookie } = from;
  if (cookie === undefined) {
    return (context) => {
      const value = read(context);
      return value === undefined ? byChance() : { place: placeOf(value), isKept: true };
    };
  }
  const attributes = `Path=/; HttpOnly; SameSite=Lax; Max-Age=${Math.floor(maxAgeMs / 1_000)}`;
  return (context) => {
    const value = read(context);
    if (value !== undefined && /^(?:0|[1-9]\d{0,3})$/.test(value)) {
      return { place: Number(value), isKept: true };
    }
    // Another attempt of the same request.
    const given = context.edge?.cookies?.find((one) => one.startsWith(`${cookie}=`));
    if (given !== undefined)
      return { place: Number.parseInt(given.slice(cookie.length + 1), 10), isKept: true };
    const placed = byChance();
    setCookie(context, `${cookie}=${placed.place}; ${attributes}`);
    return placed;
  };
}

/** Sets a cookie for the client where the answer can have one: not over gRPC, and not on an open WebSocket. */
function setCookie({ edge, protocolName }: CallContext, cookie: string): void {
  if (edge === undefined || edge.cookies === null || protocolName === "grpc") return;
  (edge.cookies ??= []).push(edge.isSecure ? `${cookie}; Secure` : cookie);
}

/** The place of a text, the same in every process: a hash of its UTF-16 units (FNV-1a, then the mix of MurmurHash 3). */
export function placeOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) % places;
}
