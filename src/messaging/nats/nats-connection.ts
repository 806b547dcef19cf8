import { NatsLink, type NatsLinkOwner } from "../../core/nats/nats-link.ts";
import type { Clock } from "../../core/time/clock.ts";
import type { FullNatsOptions } from "./nats-options.ts";

/** The connection of a broker with these options. @throws SetupError for options that cannot be used */
export function linkOf(
  { servers, credentials, tls, name, reconnect }: FullNatsOptions,
  clock: Clock,
  owner: NatsLinkOwner,
): NatsLink {
  const { ca, cert, key, serverName } = tls ?? {};
  const secured = tls === undefined ? servers : servers.map((server) => server.replace(/^nats:/, "tls:"));
  return new NatsLink({ servers: secured, credentials, ca }, owner, clock, Math.random, {
    name: name ?? "ts-ms",
    pauses: reconnect,
    cert,
    key,
    serverName,
  });
}
