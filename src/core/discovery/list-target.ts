import type { Resolver } from "./resolver.ts";
import { staticResolver } from "./static.ts";
import type { TextTarget } from "./text-target.ts";

/** The resolver of `ipv4:` and `ipv6:` with a list of addresses. */
export function resolverOf({ path }: TextTarget): Resolver {
  const addresses = path.split(",");
  return staticResolver(addresses, addresses[0]);
}
