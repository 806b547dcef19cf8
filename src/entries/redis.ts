/** `ts-ms/redis`: the connection to Redis that limits, sessions and the hub share. */

export { connectRedis, Redis, RedisAway } from "../core/redis/redis.ts";
export { redisDefaults, type RedisOptions } from "../core/redis/redis-options.ts";
export type { RedisReply } from "../core/redis/link.ts";
export { RedisScript } from "../core/redis/script.ts";
