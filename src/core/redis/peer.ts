import type * as redisClient from "@redis/client";
import { loadPeer } from "../config/optional-peer.ts";

/** The package `@redis/client`. */
export type Peer = (typeof redisClient)["default"];

/**
 * Loads the package `@redis/client`.
 *
 * @throws SetupError if it is not installed
 */
export async function loadRedis(): Promise<Peer> {
  // It is CommonJS, whose exports are the default alone in a bundle.
  return (await loadPeer("@redis/client", "Redis", () => import("@redis/client"))).default;
}
