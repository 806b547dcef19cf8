import { redisOf } from "./redis-of.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** How long the start waits for Redis, in milliseconds; then it goes on without. */
const patienceMs = 2_000;

/** Redis, for the sections that use it. */
export function open(kit: SectionKit): SectionParts {
  const redis = redisOf(kit);
  return {
    async start() {
      await redis.connect();
      if (await redis.whenReady(patienceMs)) return;
      kit.logger.warn("Redis cannot be reached: limits count in this process until it is");
    },
    stop: () => redis.close(),
  };
}
