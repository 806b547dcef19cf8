/** `ts-ms/hub/redis`: nodes of a hub that Redis joins. */

export { redisBus, type RedisBusOptions } from "../hub/bus/redis/redis-bus.ts";
