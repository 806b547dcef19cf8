/** `ts-ms/session`: sessions of browsers, their cookies, and forged requests of other sites. */

export { cookies, type CookieJar, type CookieOptions } from "../gateway/session/cookies.ts";
export { csrf, csrfDefaults, type CsrfOptions } from "../gateway/session/csrf.ts";
export { login, logout, session, type Session } from "../gateway/session/session.ts";
export { sessionDefaults, type SessionOptions } from "../gateway/session/session-options.ts";
export { sessions, type Sessions } from "../gateway/session/sessions.ts";
