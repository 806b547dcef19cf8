/** `ts-ms/hub/redis`: nodes of a hub that Redis joins. */

export { redisBus } from "../hub/bus/redis/redis-bus.ts";
