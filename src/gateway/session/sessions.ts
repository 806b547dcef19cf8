import { stringifySetCookie } from "cookie";
import type { Interceptor } from "@connectrpc/connect";
import type { CallHead } from "../../core/admission/call-head.ts";
import type { Gate } from "../../core/admission/gate.ts";
import { CallContext } from "../../core/call/context.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import { metadataOnly } from "../../core/metadata/metadata-only.ts";
import type { AuthProvider, AuthProviderSource, ProviderKit } from "../../core/security/auth-provider.ts";
import { watchFile } from "../../core/security/watched-file.ts";
import { cookieOf } from "./cookie-of.ts";
import { CookieStore } from "./cookie-store.ts";
import { EndedSessions } from "./ended-sessions.ts";
import { LiveSession, sessionKey, type SessionKit } from "./live-session.ts";
import { RedisStore } from "./redis-store.ts";
import { SessionKeys } from "./session-keys.ts";
import { checkSessionOptions, type CheckedSessionOptions, type SessionOptions } from "./session-options.ts";
import type { SessionStore } from "./session-store.ts";

/** Larger files of keys are refused, in bytes. */
const maxKeysBytes = 64 * 1024;

/**
 * Sessions of browsers: a provider of principals (`auth.providers`), the gate before authentication that reads the
 * cookie of each call, and the interceptor that lets answers wait for the store.
 *
 * ```ts
 * const web = sessions({ keysFile: "session.keys" });
 * const auth = { providers: { web } };
 * new HttpServer({ gates: [web.gate, ...], interceptors: [web.interceptor], upstream });
 * ```
 */
export interface Sessions extends AuthProviderSource {
  readonly kind: "session";
  /** Reads the cookie of each call; stands before the gate of authentication. */
  readonly gate: Gate;
  /** Lets an answer wait until the store has what its handler has written. Of the server that has the gate. */
  readonly interceptor: Interceptor;
}

/**
 * Makes sessions.
 *
 * @param env the environment, of which `NODE_ENV` is read. Default: that of the process
 * @throws SetupError naming an option that is wrong
 */
export function sessions(
  options: Partial<SessionOptions> = {},
  env: Readonly<NodeJS.ProcessEnv> = process.env,
): Sessions {
  const checked = checkSessionOptions(options);
  if (checked.store === "cookie" && checked.keysFile === undefined && env["NODE_ENV"] === "production") {
    throw new SetupError(
      "sessions: with NODE_ENV=production the option keysFile is required: a key made at the start would end all sessions at each restart",
    );
  }
  return new BrowserSessions(checked);
}

class BrowserSessions implements Sessions {
  readonly kind = "session";
  readonly options: CheckedSessionOptions;
  readonly gate: Gate = Object.freeze({
    name: "session",
    admit: (call: CallHead): void | Promise<void> => {
      if (this.#kit !== undefined) return openSession(this.#kit, call).loading;
    },
  });
  readonly interceptor = metadataOnly((next) => async (request) => {
    const live = (): LiveSession | undefined => request.contextValues.get(sessionKey);
    try {
      const response = await next(request);
      const session = live();
      if (session?.isPending === true) await session.settled();
      return response;
    } catch (error) {
      await live()?.settled();
      throw error;
    }
  });
  #kit: SessionKit | undefined;

  constructor(options: CheckedSessionOptions) {
    this.options = options;
  }

  async open(name: string, kit: ProviderKit): Promise<AuthProvider> {
    const { options } = this;
    const store = await openStore(options, name, kit);
    const own: SessionKit = {
      store,
      provider: name,
      cookieName: options.name,
      cookieStart: `${options.name}=`,
      ttlMs: options.ttlMs,
      idleMs: options.idleMs,
      wallMs: kit.wallMs,
      setCookie: (value) => attributes(options, value),
    };
    this.#kit = own;
    return {
      name,
      kind: "session",
      place: { in: "session", cookie: options.name },
      verify({ call }) {
        const { session, loading } = openSession(own, call);
        const verified = () => {
          const who = session.principal;
          if (who === undefined || !kit.revocations.has(who)) return who;
          session.disown();
          return undefined;
        };
        return loading === undefined ? verified() : loading.then(verified);
      },
      hasEnded: ({ values }) => values.get(sessionKey)?.hasEnded === true,
      close: () => store.close(),
    };
  }
}

/** The session of a call, which is read once. */
function openSession(
  kit: SessionKit,
  call: CallHead,
): { readonly session: LiveSession; readonly loading: Promise<void> | undefined } {
  const { context } = call;
  const before = context.values.get(sessionKey);
  if (before !== undefined) return { session: before, loading: undefined };
  const session = new LiveSession(kit, edgeOf(call));
  context.values.set(sessionKey, session);
  const header = call.header("cookie");
  const value = header === undefined ? undefined : cookieOf(header, kit.cookieStart);
  return { session, loading: value === undefined ? undefined : session.load(value) };
}

function edgeOf({ context, door }: CallHead) {
  return context instanceof CallContext && door !== "grpc" ? context.edge : undefined;
}

function attributes({ name, domain, sameSite, ttlMs }: CheckedSessionOptions, value: string): string {
  return stringifySetCookie({
    name,
    value,
    path: "/",
    secure: true,
    httpOnly: true,
    sameSite,
    maxAge: value === "" ? 0 : Math.floor(ttlMs / 1_000),
    ...(domain !== undefined && { domain }),
  });
}

async function openStore(
  { store, redis, keysFile, idleMs, name }: CheckedSessionOptions,
  provider: string,
  kit: ProviderKit,
): Promise<SessionStore> {
  const { wallMs, logger, revocations } = kit;
  const ended = new EndedSessions({
    redis,
    wallMs,
    onEnd: () => revocations.reportEnd(),
    onFull() {
      const text = "too many sessions have ended for this process to keep: old sessions end too; use Redis";
      logger?.warn({ provider }, text);
    },
  });
  if (store === "redis" && redis !== undefined) {
    return new RedisStore({ provider, redis, ended, idleMs, wallMs });
  }
  if (redis === undefined) {
    logger?.warn({ provider }, "logouts are known to this process alone; with Redis to all");
  }
  if (keysFile === undefined) {
    logger?.warn({ provider }, "sessions end at a restart: their key was made at the start");
    const keys = SessionKeys.random();
    return new CookieStore({ name, provider, ended, wallMs, keys: () => keys, close: () => {} });
  }
  const parse = (text: string, path: string): SessionKeys => SessionKeys.parse(text, path);
  const file = await watchFile({ path: keysFile, maxBytes: maxKeysBytes, isSecret: true, parse }, kit);
  return new CookieStore({
    name,
    provider,
    ended,
    wallMs,
    keys: () => file.value,
    close: () => file.close(),
  });
}
