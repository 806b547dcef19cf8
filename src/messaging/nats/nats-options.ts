import { checkOptions, show } from "../../core/config/check-options.ts";
import { checkPeer } from "../../core/config/optional-peer.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import { type CommonBrokerOptions, reconnectDefaults, type ReconnectOptions } from "../broker-options.ts";

/** Where NATS is, and what is made there. */
export interface NatsBrokerOptions extends CommonBrokerOptions {
  /** `nats://[user:password@]host[:port][,host[:port]…]` or `nats://token@host`, over TLS `tls://`. Default: `nats://127.0.0.1:4222`. */
  readonly url: string;
  /** File with the credentials of a user, as `nsc` writes it (`.creds`). Default: none. */
  readonly credentials: string | undefined;
  /** Replicas of streams that are made: 1 to 5. Default: 1. */
  readonly replicas: number;
  /** Behind how long a message is delivered again whose process says nothing more of it, in milliseconds. Default: 30,000. */
  readonly ackWaitMs: number;
  /** For how long ids are known: what is published again within that time is stored once, in milliseconds. Default: 120,000. */
  readonly duplicateWindowMs: number;
  /** How long the messages of a topic are kept, in milliseconds, whether read or not; 0 for ever. Default: 0. */
  readonly maxAgeMs: number;
  /** Whether each ordered group has one process at a time, which the order of a key needs: NATS divides keys among no processes. Default: false. */
  readonly singleReader: boolean;
  /** Whether a publisher makes the stream of a topic where it is missing; otherwise it refuses the message. Default: true. */
  readonly declare: boolean;
}

/** The options with all defaults put in. */
export interface FullNatsOptions extends Omit<NatsBrokerOptions, "reconnect" | "url"> {
  readonly servers: readonly string[];
  readonly reconnect: ReconnectOptions;
}

/** The defaults of `NatsBrokerOptions`. */
export const natsBrokerDefaults: NatsBrokerOptions = Object.freeze({
  url: "nats://127.0.0.1:4222",
  prefix: "",
  tls: undefined,
  name: undefined,
  reconnect: reconnectDefaults,
  credentials: undefined,
  replicas: 1,
  ackWaitMs: 30_000,
  duplicateWindowMs: 120_000,
  maxAgeMs: 0,
  singleReader: false,
  declare: true,
});

const longestMs = 2 ** 31 - 1;

/** The options with their defaults. @throws SetupError without the packages, or naming the option that cannot be used; it never shows a URL */
export function toNatsBrokerOptions(given: Partial<NatsBrokerOptions>): FullNatsOptions {
  for (const peer of ["@nats-io/transport-node", "@nats-io/jetstream"]) checkPeer(peer, "NATS");
  checkOptions("NATS", given, natsBrokerDefaults);
  checkOptions("NATS: reconnect", given.reconnect ?? {}, reconnectDefaults);
  const { url, ...options } = { ...natsBrokerDefaults, ...given };
  const reconnect = { ...reconnectDefaults, ...given.reconnect };
  if (!(reconnect.initialMs > 0 && reconnect.maxMs >= reconnect.initialMs)) {
    throw new SetupError("NATS: reconnect.initialMs must be positive, and maxMs not below it");
  }
  if (!/^(?:[\w-][\w.-]*)?$/.test(options.prefix) || options.prefix.includes("..")) {
    throw new SetupError(
      `NATS: prefix must consist of letters, digits and ._-, with no dot at its start or behind another, not ${show(options.prefix)}`,
    );
  }
  if (!(reconnect.jitter >= 0 && reconnect.jitter <= 1)) {
    throw new SetupError(`NATS: reconnect.jitter must be a number from 0 to 1, not ${reconnect.jitter}`);
  }
  checkRange("replicas", options.replicas, 1, 5);
  checkRange("ackWaitMs", options.ackWaitMs, 1_000, longestMs);
  checkRange("duplicateWindowMs", options.duplicateWindowMs, 100, longestMs);
  checkRange("maxAgeMs", options.maxAgeMs, 0, Number.MAX_SAFE_INTEGER / 1_000_000);
  return { ...options, servers: readUrl(url), reconnect };
}

/** A URL of each host. @throws SetupError that does not show the URL: it may hold a password */
function readUrl(url: string): string[] {
  const [, scheme = "", user = "", hosts = ""] =
    /^(nats|tls):\/\/([^@/]*@)?([^@/?#]+)\/?$/i.exec(String(url)) ?? [];
  const servers = hosts.split(",").map((host) => `${scheme.toLowerCase()}://${user}${host.trim()}`);
  if (hosts !== "" && servers.every((server) => URL.canParse(server))) return servers;
  throw new SetupError("NATS: url must be one such as nats://host:4222,other:4222");
}

function checkRange(name: string, value: number, from: number, to: number): void {
  if (Number.isInteger(value) && value >= from && value <= to) return;
  throw new SetupError(`NATS: ${name} must be a whole number from ${from} to ${to}, not ${show(value)}`);
}
