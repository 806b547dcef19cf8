import { Redis } from "../../core/redis/redis.ts";
import type { SectionKit } from "./section.ts";

/**
 * The connection to `stores.redis` that all sections share; the section `stores` connects and closes it.
 *
 * @throws what `SectionKit.mistake` returns, where `stores.redis` is missing or cannot be used
 */
export function redisOf(kit: SectionKit): Redis {
  return kit.shared(makeRedis);
}

function makeRedis({ config, mistake }: SectionKit): Redis {
  const redis = config.stores?.redis;
  if (redis === undefined) throw mistake("stores.redis.url", "is missing: something else needs Redis");
  const { url, username, password, ca, sentinels, master, timeout, prefix } = redis;
  try {
    return new Redis({ url, username, password, ca, sentinels, master, prefix, commandTimeoutMs: timeout });
  } catch (reason) {
    throw mistake("stores.redis", (reason as Error).message); // A SetupError.
  }
}
