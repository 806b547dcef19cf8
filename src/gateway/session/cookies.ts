import { parseCookie, stringifySetCookie } from "cookie";
import type { HandlerContext } from "@connectrpc/connect";
import { CallContext } from "../../core/call/context.ts";
import { putCookie } from "./put-cookie.ts";
import { sessionKey } from "./live-session.ts";
import type { EdgeRequest } from "../../core/call/edge-request.ts";

/** Attributes of a cookie (RFC 6265). */
export interface CookieOptions {
  /** How long browsers keep it, in milliseconds. Default: until they are closed. */
  readonly maxAgeMs?: number;
  /** Default: `/`. */
  readonly path?: string;
  /** Hosts below it have the cookie too. Default: the host alone. */
  readonly domain?: string;
  /** Whether scripts cannot read it. Default: true. */
  readonly httpOnly?: boolean;
  /** Whether it is sent by TLS alone. Default: true. */
  readonly secure?: boolean;
  /** Whether requests from pages of other sites have it. Default: `lax`. */
  readonly sameSite?: "lax" | "strict" | "none";
}

/** The cookies of a call. */
export interface CookieJar {
  /** The value of a cookie as the client has sent it; undefined for none. */
  get(name: string): string | undefined;
  /** Sets a cookie on the answer. @throws ConnectError FAILED_PRECONDITION where it can have none */
  set(name: string, value: string, options?: CookieOptions): void;
  /** Deletes a cookie; path and domain must be those with which it was set. @throws ConnectError as `set` */
  delete(name: string, options?: Pick<CookieOptions, "path" | "domain" | "secure">): void;
}

/** The cookies of the call of a handler that runs in the process of its gateway; others have none and can set none. */
export function cookies(context: Pick<HandlerContext, "values">): CookieJar {
  const edge = edgeOf(context);
  return {
    get(name) {
      const header = edge?.head.headers["cookie"];
      return header === undefined ? undefined : parseCookie([header].flat().join("; "))[name];
    },
    set(name, value, options = {}) {
      const { maxAgeMs, path = "/", domain, httpOnly = true, secure = true, sameSite = "lax" } = options;
      const more = {
        ...(maxAgeMs !== undefined && { maxAge: Math.floor(maxAgeMs / 1_000) }),
        ...(domain !== undefined && { domain }),
      };
      const text = stringifySetCookie({ name, value, path, httpOnly, secure, sameSite, ...more });
      putCookie(edge, name, text);
    },
    delete(name, options = {}) {
      this.set(name, "", { ...options, maxAgeMs: 0 });
    },
  };
}

function edgeOf(context: Pick<HandlerContext, "values">): EdgeRequest | undefined {
  if (context instanceof CallContext && context.edge !== undefined) return context.edge;
  return context.values.get(sessionKey)?.edge;
}
