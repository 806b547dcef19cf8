import type { HandlerContext } from "@connectrpc/connect";
import { checkOptions } from "../core/config/check-options.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import type { LimitOptions } from "./connections/limits.ts";
import type { JoinLimits } from "./join.ts";
import { defaultIdentity, type Identity } from "./connections/identity.ts";

/** Options of a `Hub`. */
export interface HubOptions extends LimitOptions, JoinLimits {
  /** Finds out who a call belongs to, behind all gates. Default: the principal, else the name of the client's certificate. */
  readonly identify: (context: HandlerContext) => Identity | Promise<Identity>;
  /** The most rooms with members in this process; joins of further ones are RESOURCE_EXHAUSTED. Default: 100,000. */
  readonly maxRooms: number;
  /** The largest message that is published, in bytes of protobuf. Default: 256 KiB. */
  readonly maxMessageBytes: number;
}

/** The defaults of `HubOptions`. */
export const hubDefaults: HubOptions = Object.freeze({
  identify: defaultIdentity,
  maxConnections: 20_000,
  maxPerUser: 32,
  maxPerAddress: 0,
  onUserLimit: "refuse",
  maxRoomsPerConnection: 128,
  maxRoomsPerCall: 16,
  maxRooms: 100_000,
  joinsPerSecond: 50,
  joinTimeoutMs: 5_000,
  maxMessageBytes: 256 * 1024,
  maxDirectBytes: 64 * 1024,
});

/** @throws SetupError naming the option that cannot be used */
export function toHubOptions(options: Partial<HubOptions>): HubOptions {
  checkOptions<HubOptions>("Hub", options, hubDefaults);
  const merged = { ...hubDefaults, ...options };
  for (const [name, value] of Object.entries(merged)) {
    if (typeof value === "number" && value < 0)
      throw new SetupError(`Hub: the option ${name} must not be negative: ${value}`);
  }
  if (typeof merged.identify !== "function")
    throw new SetupError("Hub: the option identify must be a function");
  if (merged.onUserLimit !== "refuse" && merged.onUserLimit !== "close-oldest") {
    throw new SetupError('Hub: the option onUserLimit must be "refuse" or "close-oldest"');
  }
  return merged;
}
