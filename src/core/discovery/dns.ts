import { formatAddress } from "../net/listener.ts";
import { HostLookup, type DnsOptions } from "./host-lookup.ts";
import { Polling, type ResolverParts } from "./polling.ts";
import type { Resolver } from "./resolver.ts";

/**
 * All addresses of a host, `dns:///HOST:PORT`: IPv4 and IPv6, for as long as DNS says, 5 s at least and 300 s at most.
 * Where DNS finds nothing the system is asked, which knows the hosts file and search domains, every 30 s.
 */
export function dnsResolver(
  host: string,
  port: number,
  options: DnsOptions = {},
  parts: ResolverParts = {},
): Resolver {
  const lookup = new HostLookup("dns", options);
  const polling = new Polling(
    "dns",
    async () => {
      const { addresses, holdMs } = await lookup.addressesOf(host);
      const endpoints = addresses.map((address) => ({ address: formatAddress({ host: address, port }) }));
      return { endpoints, holdMs };
    },
    parts,
  );
  return {
    name: "dns",
    authority: formatAddress({ host, port }),
    watch(listener, signal) {
      signal.addEventListener("abort", () => lookup.cancel());
      void polling.run(listener, signal);
    },
    refresh: () => polling.refresh(),
  };
}
