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

/** How many random digits are made at a time. */
const poolDigits = 4096;
/** Random digits of an id: three, the variant, and fifteen more. */
const idDigits = 19;
const variants = "89ab89ab89ab89ab";

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
  if (next + idDigits > pool.length) {
    pool = randomBytes(poolDigits / 2).toString("hex");
    next = 0;
  }
  const at = next;
  next += idDigits;
  const variant = variants[Number.parseInt(pool.charAt(at + 3), 16)] ?? "8";
  return `${stamp}${pool.slice(at, at + 3)}-${variant}${pool.slice(at + 4, at + 7)}-${pool.slice(at + 7, at + idDigits)}`;
}
