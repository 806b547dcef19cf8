import { checkOptions, show } from "../../core/config/check-options.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { Redis } from "../../core/redis/redis.ts";

/** How browsers keep sessions. */
export interface SessionOptions {
  /** Where sessions are: in the encrypted cookie itself, or in `redis`. Default: `cookie`. */
  readonly store: "cookie" | "redis";
  /** Name of the cookie. Default: `__Host-session`, with a domain `__Secure-session`. */
  readonly name: string | undefined;
  /**
   * File of the keys of the store `cookie`: 32 bytes in base64 a line. The first encrypts, all decrypt. It is read again
   * when it changes. Default: a key that is made at the start, which ends all sessions at a restart; not allowed with
   * `NODE_ENV=production`.
   */
  readonly keysFile: string | undefined;
  /** How long a session lives, in milliseconds. Default: 86,400,000, a day. */
  readonly ttlMs: number;
  /** Time without a request after which a session ends, in milliseconds. Default: 1,800,000, half an hour. */
  readonly idleMs: number;
  /** Whether requests from pages of other sites have the cookie. Default: `lax`. */
  readonly sameSite: "lax" | "strict" | "none";
  /** Domain whose hosts share the cookie. Default: none, the host alone. */
  readonly domain: string | undefined;
  /**
   * Keeps the sessions of the store `redis`; with the store `cookie`, which sessions have logged out. The program
   * connects it. Default: none, logouts are known to this process alone.
   */
  readonly redis: Redis | undefined;
}

/** Defaults of `SessionOptions`. */
export const sessionDefaults: SessionOptions = Object.freeze({
  store: "cookie",
  name: undefined,
  keysFile: undefined,
  ttlMs: 86_400_000,
  idleMs: 1_800_000,
  sameSite: "lax",
  domain: undefined,
  redis: undefined,
});

/** The options with their defaults, and the name of the cookie. */
export type CheckedSessionOptions = Omit<SessionOptions, "name"> & { readonly name: string };

/** @throws SetupError naming the option that cannot be used */
export function checkSessionOptions(given: Partial<SessionOptions>): CheckedSessionOptions {
  checkOptions("sessions", given, sessionDefaults);
  const options = { ...sessionDefaults, ...given };
  const { store, domain, sameSite, ttlMs, idleMs, redis } = options;
  const name = options.name ?? (domain === undefined ? "__Host-session" : "__Secure-session");
  if (!["cookie", "redis"].includes(store)) fail("store", "must be cookie or redis", store);
  if (!["lax", "strict", "none"].includes(sameSite))
    fail("sameSite", "must be lax, strict or none", sameSite);
  if (!/^[!#$%&'*+.^`|~\w-]+$/.test(name)) fail("name", "must be the name of a cookie", name);
  if (domain !== undefined) {
    if (!/^[a-z\d](?:[a-z\d.-]*[a-z\d])?$/i.test(domain)) fail("domain", "must be a host name", domain);
    if (name.toLowerCase().startsWith("__host-")) {
      fail("name", "must not begin with __Host-, which has no domain; use __Secure-session", name);
    }
  }
  for (const [option, value] of [["ttlMs", ttlMs] as const, ["idleMs", idleMs] as const]) {
    if (!Number.isSafeInteger(value) || value < 1_000)
      fail(option, "must be a whole number from 1000", value);
  }
  if (store === "redis" && redis === undefined) {
    throw new SetupError("sessions: the store redis needs the option redis, a connection to it");
  }
  return { ...options, name };
}

function fail(option: string, problem: string, value: unknown): never {
  throw new SetupError(`sessions: the option ${option} ${problem}, not ${show(value)}`);
}
