import type { HandlerContext } from "@connectrpc/connect";
import { liveTimes, type LiveTimes } from "../core/admission/connection-book.ts";
import { checkOptions } from "../core/config/check-options.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import { workerId } from "../core/lifecycle/worker-process.ts";
import { drainDefaults, type DrainOptions } from "./connections/drain.ts";
import type { LimitOptions } from "./connections/limits.ts";
import type { JoinLimits } from "./join.ts";
import type { NodeOptions } from "./nodes/nodes.ts";
import type { PublishLimits } from "./publisher.ts";
import type { Bus } from "./bus/bus.ts";
import type { TopicSettingsInit } from "./topic-settings.ts";
import { defaultIdentity, type Identity } from "./connections/identity.ts";

/** Options of a `Hub`. */
export interface HubOptions extends LimitOptions, JoinLimits, PublishLimits, NodeOptions, LiveTimes {
  /** Finds out who a call belongs to, behind all gates. Default: the principal, else the name of the client's certificate. */
  readonly identify: (context: HandlerContext) => Identity | Promise<Identity>;
  /** The most rooms with members in this process; joins of further ones are RESOURCE_EXHAUSTED. Default: 100,000. */
  readonly maxRooms: number;
  /** The silence behind which clients of `/ws` that have said hello get a sign of life, in milliseconds. Default: 25,000. */
  readonly beatMs: number;
  /** How long before their identity ends such clients are told so, in milliseconds. Default: 30,000. */
  readonly expiryNoticeMs: number;
  /** Of hubs that share a bus, those of other names never meet. Default: `hub`. */
  readonly name: string;
  /** What joins the nodes of a hub, and keeps what was published. Default: `memoryBus()`, this process alone. */
  readonly bus: Bus | undefined;
  /**
   * What becomes of joins and publications while the bus cannot be reached: they are UNAVAILABLE (`reject`), or go on in this
   * process alone (`local`): messages reach the members here without positions, and members of these rooms get a reset
   * `BUS` when the bus is back. Default: `reject`.
   */
  readonly whenBusDown: "reject" | "local";
  /** The most bytes of messages that all rooms together keep in this process; the largest lose their oldest. Default: 256 MiB. */
  readonly maxRingBytes: number;
  /** How long a room, with what it keeps in this process, outlives its last member, in milliseconds. Default: 30,000. */
  readonly roomLingerMs: number;
  /** How often it is looked for publications that the bus has not brought, in milliseconds. Default: 10,000. */
  readonly checkMs: number;
  /** For how long nothing comes by a connection to the bus until it is asked whether it lives, in milliseconds. Default: 5,000. */
  readonly probeMs: number;
  /** How connections that read topics end when their server stops. Default: 1,000 in a second, within 12 s. */
  readonly drain: DrainOptions;
  /** What is said of topics by their names, for a configuration: over what contract and code say, field by field. Default: nothing. */
  readonly topics: Readonly<Record<string, TopicSettingsInit>>;
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
  publishTimeoutMs: 2_000,
  heartbeatMs: 2_000,
  nodeTtlMs: 8_000,
  countTimeoutMs: 1_000,
  checkMs: 10_000,
  probeMs: 5_000,
  ...liveTimes,
  name: "hub",
  bus: undefined,
  whenBusDown: "reject",
  maxRingBytes: 256 * 1024 ** 2,
  roomLingerMs: 30_000,
  drain: drainDefaults,
  topics: Object.freeze({}),
});

/** @throws SetupError naming the option that cannot be used */
export function toHubOptions(options: Partial<HubOptions>): HubOptions {
  checkOptions<HubOptions>("Hub", options, hubDefaults);
  const drain = { ...drainDefaults, ...options.drain };
  const merged = { ...hubDefaults, ...options, drain };
  if (!(drain.perSecond > 0) || !(drain.maxMs >= 0)) {
    throw new SetupError("Hub: the option drain needs a positive perSecond and a maxMs that is not negative");
  }
  for (const [name, value] of Object.entries(merged)) {
    if (typeof value === "number" && value < 0)
      throw new SetupError(`Hub: the option ${name} must not be negative: ${value}`);
  }
  if (!(merged.heartbeatMs > 0) || !(merged.nodeTtlMs > merged.heartbeatMs)) {
    throw new SetupError("Hub: the option heartbeatMs must be positive, and nodeTtlMs more than it");
  }
  if (!(merged.beatMs > 0)) throw new SetupError("Hub: the option beatMs must be positive");
  if (typeof merged.identify !== "function")
    throw new SetupError("Hub: the option identify must be a function");
  if (typeof merged.name !== "string" || !/^[A-Za-z0-9_-]{1,64}$/.test(merged.name)) {
    throw new SetupError("Hub: the option name must be 1 to 64 letters, digits, _ and -");
  }
  if ((merged.bus === undefined || merged.bus.name === "memory") && workerId() !== undefined) {
    throw new SetupError(
      "Hub: the memory bus is that of one process, and this program has several workers: the option bus may be workerBus()",
    );
  }
  if (merged.bus !== undefined && merged.maxMessageBytes > merged.bus.maxMessageBytes) {
    const { name, maxMessageBytes } = merged.bus;
    throw new SetupError(
      `Hub: the option maxMessageBytes is more than the bus ${name} takes, ${maxMessageBytes}`,
    );
  }
  if (merged.onUserLimit !== "refuse" && merged.onUserLimit !== "close-oldest") {
    throw new SetupError('Hub: the option onUserLimit must be "refuse" or "close-oldest"');
  }
  if (merged.whenBusDown !== "reject" && merged.whenBusDown !== "local") {
    throw new SetupError('Hub: the option whenBusDown must be "reject" or "local"');
  }
  return merged;
}
