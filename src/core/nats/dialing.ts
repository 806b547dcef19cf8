import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import type * as jetStreamPeer from "@nats-io/jetstream";
import type * as natsPeer from "@nats-io/transport-node";
import { loadPeer } from "../config/optional-peer.ts";
import { SetupError } from "../errors/setup-error.ts";
import type { NatsOptions } from "./nats-options.ts";

/** What an owner may say of its connections besides the options. */
export interface NatsLinkMore {
  /** What NATS shows of them. Default: `ts-ms`. */
  readonly name: string;
  /** Pause before the next attempt to connect: it doubles from the first to the last value, in milliseconds; by `jitter` of itself shorter. */
  readonly pauses: { readonly initialMs: number; readonly maxMs: number; readonly jitter: number };
  /** File of this client's certificate, PEM. Default: none. */
  readonly cert: string | undefined;
  /** File of its key, PEM. Default: none. */
  readonly key: string | undefined;
  /** The name that the server's certificate must have. Default: the host of the URL. */
  readonly serverName: string | undefined;
}

/** The defaults of `NatsLinkMore`. */
export const natsLinkDefaults: NatsLinkMore = Object.freeze({
  name: "ts-ms",
  pauses: Object.freeze({ initialMs: 100, maxMs: 5_000, jitter: 0.1 }),
  cert: undefined,
  key: undefined,
  serverName: undefined,
});

/** The client's modules. */
export interface NatsPeers {
  readonly nats: (typeof natsPeer)["default"];
  readonly jetStream: (typeof jetStreamPeer)["default"];
}

/** What the client connects by. */
export type NatsDialing = Omit<natsPeer.NodeConnectionOptions, "servers"> & {
  readonly servers: readonly string[];
};

/** @throws SetupError without the packages */
export async function loadPeers(): Promise<NatsPeers> {
  const nats = await loadPeer("@nats-io/transport-node", "NATS", () => import("@nats-io/transport-node"));
  const jetStream = await loadPeer("@nats-io/jetstream", "NATS", () => import("@nats-io/jetstream"));
  // They are CommonJS, whose exports are the default alone in a bundle.
  return { nats: nats.default, jetStream: jetStream.default };
}

/** How the client is to connect. @throws SetupError where a file cannot be read, or has no credentials */
export function dialingOf(
  nats: NatsPeers["nats"],
  { servers, credentials, ca, connectTimeoutMs, probeMs }: NatsOptions,
  { name, cert, key, serverName }: NatsLinkMore,
): NatsDialing {
  const urls = servers.map((server) => new URL(server));
  const [first] = urls;
  const user = decodeURIComponent(first?.username ?? "");
  const pass = decodeURIComponent(first?.password ?? "");
  const tls = {
    ...(ca !== undefined && { ca: readText(ca, "CA") }),
    ...(cert !== undefined && { cert: readText(cert, "certificate") }),
    ...(key !== undefined && { key: readText(key, "key") }),
    ...(serverName !== undefined && { servername: serverName }),
  };
  const hosts = urls.map(({ hostname }) => hostname.replace(/^\[|\]$/g, ""));
  const identity = serverName === undefined && { checkServerIdentity: identityCheck(hosts) };
  const isTls = Object.keys(tls).length > 0 || urls.some(({ protocol }) => protocol === "tls:");
  return {
    servers: urls.map(({ hostname, port }) => `${hostname}:${port === "" ? 4222 : port}`),
    name,
    reconnect: false,
    timeout: connectTimeoutMs,
    pingInterval: probeMs,
    maxPingOut: 1,
    ...(isTls && { tls: { ...tls, ...identity } }),
    ...(credentials !== undefined && { authenticator: authenticatorOf(nats, credentials) }),
    ...(pass !== "" ? { user, pass } : user !== "" && { token: user }),
  };
}

/** The client lets Node compare a certificate with `localhost` where a server is given by its address. */
function identityCheck(hosts: readonly string[]) {
  const addresses = hosts.filter((host) => isIP(host) !== 0 || host === "localhost");
  return (host: string, certificate: PeerCertificate): Error | undefined => {
    const names = host === "localhost" && addresses.length > 0 ? addresses : [host];
    const found = names.map((name) => checkServerIdentity(name, certificate));
    return found.includes(undefined) ? undefined : found[0];
  };
}

function authenticatorOf({ credsAuthenticator }: NatsPeers["nats"], path: string): natsPeer.Authenticator {
  const authenticator = credsAuthenticator(new TextEncoder().encode(readText(path, "credentials")));
  try {
    authenticator("nonce"); // It reads them each time that it is asked.
  } catch (reason) {
    const text = `NATS: the file of the credentials has none as nsc writes them (.creds): ${path}`;
    throw new SetupError(text, { cause: reason });
  }
  return authenticator;
}

function readText(path: string, what: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (reason) {
    throw new SetupError(`NATS: the file of the ${what} cannot be read: ${path}`, { cause: reason });
  }
}
