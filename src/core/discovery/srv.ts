import { formatAddress } from "../net/listener.ts";
import { HostLookup, type DnsOptions, type SrvTarget } from "./host-lookup.ts";
import type { ConnectError } from "../errors/errors.ts";
import { Polling, toResolverError, type Found, type ResolverParts } from "./polling.ts";
import type { Endpoint, Resolver } from "./resolver.ts";

/** How long an answer without servers holds, in milliseconds. */
const emptyHoldMs = 5_000;

/**
 * The servers of a service by SRV records (RFC 2782), `srv:///NAME`, such as `_grpc._tcp.users.example.com`: their
 * priorities are those of endpoints, their weights too, where 0 counts as 1. Node does not say how long SRV records
 * hold: they are looked up again when the first address of their hosts no longer holds.
 */
export function srvResolver(service: string, options: DnsOptions = {}, parts: ResolverParts = {}): Resolver {
  const lookup = new HostLookup("srv", options);
  const polling = new Polling("srv", () => lookUp(lookup, service), parts);
  return {
    name: "srv",
    authority: service,
    watch(listener, signal) {
      signal.addEventListener("abort", () => lookup.cancel());
      void polling.run(listener, signal);
    },
    refresh: () => polling.refresh(),
  };
}

async function lookUp(lookup: HostLookup, service: string): Promise<Found> {
  const targets = await lookup.serversOf(service);
  const hosts = new Map<string, readonly string[]>();
  let holdMs = Number.POSITIVE_INFINITY;
  let failure: ConnectError | undefined;
  for (const host of new Set(targets.map((target) => target.host))) {
    try {
      const found = await lookup.addressesOf(host);
      hosts.set(host, found.addresses);
      holdMs = Math.min(holdMs, found.holdMs);
    } catch (error) {
      failure = toResolverError("srv", error);
    }
  }
  // A host that cannot be found is no reason to lose the others.
  if (failure !== undefined && hosts.size === 0) throw failure;
  const endpoints = targets.flatMap((target) => endpointsOf(target, hosts.get(target.host) ?? []));
  return { endpoints, holdMs: holdMs === Number.POSITIVE_INFINITY ? emptyHoldMs : holdMs };
}

function endpointsOf({ port, priority, weight }: SrvTarget, addresses: readonly string[]): Endpoint[] {
  return addresses.map((address) => ({
    address: formatAddress({ host: address, port }),
    priority,
    weight: Math.max(1, weight),
  }));
}
