import { timingSafeEqual } from "node:crypto";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { CallHead } from "../../core/admission/call-head.ts";
import type { Gate } from "../../core/admission/gate.ts";
import { refusal } from "../../core/admission/refusal.ts";
import { checkOptions, show } from "../../core/config/check-options.ts";
import { Code } from "../../core/errors/errors.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import { principalKey } from "../../core/security/principal.ts";
import { sessionKey } from "./live-session.ts";

/** Whose pages may change something. */
export interface CsrfOptions {
  /** Origins beside the server's own, such as `https://app.example.com`. Default: none. */
  readonly trustedOrigins: readonly string[];
}

/** Defaults of `CsrfOptions`. */
export const csrfDefaults: CsrfOptions = Object.freeze({ trustedOrigins: [] });

/** Credentials that browsers send by themselves, whatever page has made the request. */
const ambient: ReadonlySet<string> = new Set(["session", "basic", "mtls"]);

/**
 * The gate against forged requests; stands behind authentication. A call that a browser has given a session, a Basic
 * password or a certificate, and that may change something, must come from an own page: `Sec-Fetch-Site` is
 * `same-origin` or `none`, or `Origin` is the own or a trusted one, or `x-csrf-token` is that of the session. Others are
 * refused with 403 and the reason `CSRF_FAILED`. Native gRPC is not asked: no page can speak it.
 *
 * @throws SetupError naming an origin that is none
 */
export function csrf(options: Partial<CsrfOptions> = {}): Gate {
  checkOptions("csrf", options, csrfDefaults);
  const { trustedOrigins } = { ...csrfDefaults, ...options };
  const trusted = new Set(trustedOrigins.map(checkOrigin));
  return Object.freeze({
    name: "csrf",
    admit(call: CallHead): void {
      const who = call.context.values.get(principalKey);
      if (who === undefined || !ambient.has(who.kind) || !mayChange(call)) return;
      if (!isOwnPage(call, trusted)) throw forged();
    },
  });
}

function checkOrigin(text: string): string {
  const url = URL.parse(text);
  if (url !== null && /^https?:$/.test(url.protocol) && url.origin === text.toLowerCase()) return url.origin;
  throw new SetupError(
    `csrf: trustedOrigins: ${show(text)} is no origin, write it as "https://app.example.com"`,
  );
}

/** A handshake of a WebSocket is a GET that opens a way for everything. */
function mayChange({ door, httpMethod, method }: CallHead): boolean {
  if (door === "grpc" || door === "in-process") return false;
  if (door === "websocket" || (httpMethod !== "GET" && httpMethod !== "HEAD")) return true;
  return method.idempotency === MethodOptions_IdempotencyLevel.IDEMPOTENT; // It has side effects, by its contract.
}

function isOwnPage(call: CallHead, trusted: ReadonlySet<string>): boolean {
  const site = call.header("sec-fetch-site");
  if (site === "same-origin" || site === "none") return true;
  const origin = call.header("origin");
  if (origin !== undefined && (trusted.has(origin) || isOwn(origin, call))) return true;
  const token = call.header("x-csrf-token");
  const expected = call.context.values.get(sessionKey)?.csrfToken;
  return token !== undefined && expected !== undefined && isEqual(token, expected);
}

/** Whether a page was served by this host. A proxy may have ended TLS: `https` counts on a plain connection too. */
function isOwn(origin: string, { scheme, authority }: CallHead): boolean {
  const page = URL.parse(origin);
  if (page === null || page.origin !== origin) return false;
  if (page.protocol !== "https:" && scheme === "https") return false;
  return URL.parse(`${page.protocol}//${authority}`)?.host === page.host;
}

function isEqual(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function forged(): Error {
  return refusal({
    kind: "csrf",
    code: Code.PermissionDenied,
    reason: "CSRF_FAILED",
    message:
      "the request does not come from a page of this server: its Sec-Fetch-Site, Origin or x-csrf-token must say so",
  });
}
