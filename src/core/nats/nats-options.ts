import { checkOptions } from "../config/check-options.ts";
import { checkPeer } from "../config/optional-peer.ts";
import { SetupError } from "../errors/setup-error.ts";

/** Where NATS is, and how this process connects. */
export interface NatsOptions {
  /** `nats://[[user:password@]host[:port]` or `nats://token@host`, over TLS `tls://`; one of several. Default: `nats://127.0.0.1:4222`. */
  readonly servers: readonly string[];
  /** File with the credentials of a user, as `nsc` writes it (`.creds`). Default: none. */
  readonly credentials: string | undefined;
  /** File of the CA certificates to verify the server's certificate against, PEM. Default: those of Node. */
  readonly ca: string | undefined;
  /** The longest time that an attempt to connect takes, in milliseconds. Default: 2,000. */
  readonly connectTimeoutMs: number;
  /** A silent connection is asked whether it lives after this time, and is replaced after it again, in milliseconds. Default: 5,000. */
  readonly probeMs: number;
}

/** The defaults of `NatsOptions`. */
export const natsDefaults: NatsOptions = Object.freeze({
  servers: Object.freeze(["nats://127.0.0.1:4222"]),
  credentials: undefined,
  ca: undefined,
  connectTimeoutMs: 2_000,
  probeMs: 5_000,
});

/** The options with their defaults. @throws SetupError without the packages, or naming the one that cannot be used; it never shows a URL */
export function toNatsOptions(given: Partial<NatsOptions>): NatsOptions {
  for (const peer of ["@nats-io/transport-node", "@nats-io/jetstream"]) checkPeer(peer, "NATS");
  checkOptions("NATS", given, natsDefaults);
  const options = { ...natsDefaults, ...given };
  if (options.servers.length === 0) throw new SetupError("NATS: servers must not be empty");
  for (const server of options.servers) {
    if (!/^(?:nats|tls):\/\//.test(server) || !URL.canParse(server)) {
      throw new SetupError("NATS: servers must be URLs such as nats://host:4222"); // They may hold a password.
    }
  }
  if (!(options.connectTimeoutMs > 0) || !(options.probeMs > 0)) {
    throw new SetupError("NATS: connectTimeoutMs and probeMs must be positive");
  }
  return options;
}
