import { loadPeer } from "../../core/config/optional-peer.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { Sessions } from "../../gateway/session/sessions.ts";
import { redisOf } from "./redis-of.ts";
import type { SectionKit } from "./section.ts";

/**
 * The sessions that the sections `session` and `auth` share: a provider of the name `session`.
 *
 * @throws what `SectionKit.mistake` returns, for options that cannot be used, or without the package `cookie`
 */
export function sessionsOf(kit: SectionKit): Promise<Sessions> {
  return kit.shared(makeSessions);
}

async function makeSessions(kit: SectionKit): Promise<Sessions> {
  const { config, env, mistake } = kit;
  try {
    const { sessions } = await loadPeer(
      "cookie",
      "session",
      () => import("../../gateway/session/sessions.ts"),
    );
    const { session, stores } = config;
    const redis = stores?.redis === undefined ? undefined : redisOf(kit);
    if (session === undefined) return sessions({ redis }, env);
    const { store, name, keysFile, ttl: ttlMs, idle: idleMs, sameSite, domain } = session;
    const words = { store: store as "cookie" | "redis", sameSite: sameSite as "lax" }; // Choices of the keys.
    return sessions({ ...words, name, keysFile, ttlMs, idleMs, domain, redis }, env);
  } catch (reason) {
    if (reason instanceof SetupError) throw mistake("session", reason.message);
    throw reason;
  }
}
