import { show } from "../config/check-options.ts";
import { SetupError } from "../errors/setup-error.ts";
import type { Endpoint, Resolver } from "./resolver.ts";

/**
 * A list of endpoints that does not change.
 *
 * @param endpoints addresses, or endpoints with weights and zones
 * @throws SetupError if the list is empty, or naming what is no endpoint
 */
export function staticResolver(endpoints: readonly (string | Endpoint)[], authority?: string): Resolver {
  if (endpoints.length === 0) throw new SetupError("a list of endpoints must have one at least");
  const list = endpoints.map((entry) => {
    const endpoint = typeof entry === "string" ? { address: entry } : entry;
    const address: unknown = (endpoint as Endpoint | null | undefined)?.address;
    if (typeof address === "string" && address !== "") return endpoint;
    throw new SetupError(
      `an endpoint is an address such as "10.0.0.1:42001", or has one: not ${show(entry)}`,
    );
  });
  return {
    name: "list",
    ...(authority === undefined ? {} : { authority }),
    watch: (listener, signal) => {
      if (!signal.aborted) listener.update(list);
    },
  };
}
