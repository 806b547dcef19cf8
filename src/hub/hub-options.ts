import type { HandlerContext } from "@connectrpc/connect";
import { checkOptions } from "../core/config/check-options.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import type { LimitOptions } from "./connections/limits.ts";
import { defaultIdentity, type Identity } from "./connections/identity.ts";

/** Options of a `Hub`. */
export interface HubOptions extends LimitOptions {
  /** Finds out who a call belongs to, behind all gates. Default: the principal, else the name of the client's certificate. */
  readonly identify: (context: HandlerContext) => Identity | Promise<Identity>;
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
