import { randomBytes } from "node:crypto";
import type { HandlerContext } from "@connectrpc/connect";

/** Name of the header, and of the metadata, that holds the id of a request. */
export const requestIdHeader = "x-request-id";

/** From whom the id of a request is taken: any client, trusted proxies and peers, or none. */
export const requestIdPolicies = ["any", "trusted", "never"] as const;

/** One of `requestIdPolicies`. */
export type RequestIdPolicy = (typeof requestIdPolicies)[number];

/** Options of servers that give each request an id. */
export interface RequestIdOptions {
  /**
   * Gives each request an id, which is in its answer as `x-request-id`, in logs, and in calls that are part of it: from
   * whom the id that a client sends is taken. `any` takes that of every client, `trusted` those of trusted proxies and
   * peers, `never` none; all other requests get a new one, a UUID of version 7. Undefined: no answer has an id.
   * Default: undefined.
   */
  readonly requestId: RequestIdPolicy | undefined;
}

/** The defaults of `RequestIdOptions`. */
export const requestIdDefaults: RequestIdOptions = Object.freeze({ requestId: undefined });

const allowed = /^[A-Za-z0-9._:-]{1,128}$/;

/** Whether a client's text can be the id of a request: 1 to 128 letters, digits and `.`, `_`, `:`, `-`. */
export function isRequestId(text: unknown): text is string {
  return typeof text === "string" && allowed.test(text);
}

/** The id in the headers of a request. Where there is none that can be one, a new one is set. */
export function ensureRequestId(headers: Headers): string {
  const sent = headers.get(requestIdHeader);
  if (isRequestId(sent)) return sent;
  const made = newRequestId();
  headers.set(requestIdHeader, made);
  return made;
}

/**
 * The id of the request that a handler serves: 1 to 128 letters, digits and `.`, `_`, `:`, `-`. It is that of the client
 * where it may set one, see `RequestIdOptions`, else a UUID of version 7.
 */
export function requestId(context: Pick<HandlerContext, "requestHeader">): string {
  const known = "requestId" in context ? context.requestId : undefined; // Contexts of calls know theirs.
  return typeof known === "string" ? known : ensureRequestId(context.requestHeader);
}

/** Gives the requests of one server their ids. */
export class RequestIds {
  /** From whom ids are taken. */
  policy: RequestIdPolicy;

  /** @param policy as `RequestIds.policy` */
  constructor(policy: RequestIdPolicy) {
    this.policy = policy;
  }

  /**
   * The id of a request.
   *
   * @param sent what its client has sent as one
   * @param isTrusted whether the client is a trusted proxy or peer; asked where that decides
   */
  of(sent: unknown, isTrusted: () => boolean): string {
    const taken = this.policy === "any" || (this.policy === "trusted" && isTrusted());
    return taken && isRequestId(sent) ? sent : newRequestId();
  }
}

/** How many ids are prepared at a time. */
const poolIds = 128;
/** What of an id is random: `xxx-vxxx-xxxxxxxxxxxx` behind the version, of which `v` is the variant. */
const randomLength = 21;
const hexDigits = Buffer.from("0123456789abcdef", "latin1");
const dash = 0x2d;

let pool = "";
let next = 0;
let stampedMs = 0;
let stamp = "";

/** A new id: a UUID of version 7 (RFC 9562, section 5.7), which begins with the time. */
export function newRequestId(): string {
  const now = Date.now();
  if (now !== stampedMs) {
    stampedMs = now;
    const time = now.toString(16).padStart(12, "0");
    stamp = `${time.slice(0, 8)}-${time.slice(8)}-7`;
  }
  if (next === pool.length) {
    pool = randomParts(poolIds);
    next = 0;
  }
  const at = next;
  next += randomLength;
  return stamp + pool.slice(at, next);
}

/** The random parts of as many ids, one behind the other. */
function randomParts(count: number): string {
  const digits = randomBytes(count * randomLength); // A digit of each, though most bits of it are of no use.
  for (let at = 0; at < digits.length; at++) {
    const place = at % randomLength;
    const digit = digits[at] ?? 0;
    if (place === 3 || place === 8) digits[at] = dash;
    else digits[at] = hexDigits[place === 4 ? 8 | (digit & 3) : digit & 15] ?? 0;
  }
  return digits.toString("latin1");
}
