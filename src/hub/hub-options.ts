import type { HandlerContext } from "@connectrpc/connect";
import { checkOptions } from "../core/config/check-options.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import { defaultIdentity, type Identity } from "./identity.ts";

/** Options of a `Hub`. */
export interface HubOptions {
  /** Finds out who a call belongs to, behind all gates. Default: the principal, else the name of the client's certificate. */
  readonly identify: (context: HandlerContext) => Identity | Promise<Identity>;
  /** The most connections of this process; further ones are UNAVAILABLE with `RetryInfo`. Default: 20,000. */
  readonly maxConnections: number;
  /** The most connections of a user; 0 for any number. Default: 32. */
  readonly maxPerUser: number;
  /** The most connections from an IPv4 address, or from a network of 64 bits of IPv6; 0 for any number. Default: 0. */
  readonly maxPerAddress: number;
  /**
   * Whether a connection beyond `maxPerUser` is refused, RESOURCE_EXHAUSTED, or the oldest of the user ends in its place
   * as by `close` with `reconnect: false`. Default: `refuse`.
   */
  readonly onUserLimit: "refuse" | "close-oldest";
}

/** The defaults of `HubOptions`. */
export const hubDefaults: HubOptions = Object.freeze({
  identify: defaultIdentity,
  maxConnections: 20_000,
  maxPerUser: 32,
  maxPerAddress: 0,
  onUserLimit: "refuse",
});

/** @throws SetupError naming the option that cannot be used */
export function toHubOptions(options: Partial<HubOptions>): HubOptions {
  checkOptions<HubOptions>("Hub", options, hubDefaults);
  const merged = { ...hubDefaults, ...options };
  for (const name of ["maxConnections", "maxPerUser", "maxPerAddress"] as const) {
    if (merged[name] < 0)
      throw new SetupError(`Hub: the option ${name} must not be negative: ${merged[name]}`);
  }
  if (typeof merged.identify !== "function")
    throw new SetupError("Hub: the option identify must be a function");
  if (merged.onUserLimit !== "refuse" && merged.onUserLimit !== "close-oldest") {
    throw new SetupError('Hub: the option onUserLimit must be "refuse" or "close-oldest"');
  }
  return merged;
}
