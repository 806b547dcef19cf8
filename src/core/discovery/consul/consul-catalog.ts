import { SetupError } from "../../errors/setup-error.ts";
import { systemClock } from "../../time/clock.ts";
import type { Catalog, CatalogEntry, UpstreamContract } from "../catalog.ts";
import { resolverPauses, type ResolverParts } from "../polling.ts";
import type { Resolver } from "../resolver.ts";
import { BlockingQuery } from "./blocking-query.ts";
import { ConsulAgent, type ConsulOptions } from "./consul-agent.ts";
import { consulResolver, type ConsulResolverOptions } from "./consul-resolver.ts";

/** Options of `consulCatalog`; those of `consulResolver` are for the instances of every service. */
export interface ConsulCatalogOptions extends ConsulOptions, Omit<ConsulResolverOptions, "tag" | "dc"> {
  /** Services with an instance that has this tag are upstreams; other instances are not called. */
  readonly tag: string;
  /** The datacenter. Default: that of the agent. */
  readonly dc?: string;
  /** Where the contracts come from. Default: `reflection`. */
  readonly contract?: UpstreamContract;
}

/**
 * The services of Consul with a tag, as upstreams of a gateway: each has the name of its service. What registers with the
 * tag is served within seconds. The token needs `service_prefix "" { policy = "read" }` and
 * `node_prefix "" { policy = "read" }`.
 *
 * @throws TypeError if the tag is missing, or the URL of the agent cannot be used
 */
export function consulCatalog(options: ConsulCatalogOptions, parts: ResolverParts = {}): Catalog {
  const { tag, dc, contract, ...more } = (options ?? {}) as Partial<ConsulCatalogOptions>; // JavaScript callers may leave it out.
  if (typeof tag !== "string" || tag === "")
    throw new SetupError("consulCatalog: the option tag must be a text");
  const clock = parts.clock ?? systemClock;
  const agent = new ConsulAgent(more, clock);
  const query = {
    path: `/v1/catalog/services?${new URLSearchParams(dc === undefined ? {} : { dc }).toString()}`,
    rules: 'service_prefix "" { policy = "read" }, node_prefix "" { policy = "read" }',
    read: (text: string) => servicesOf(text, tag),
  };
  return {
    name: "consul",
    watch(listener, signal) {
      /** One for each service, since another resolver would be another target. */
      let resolvers = new Map<string, Resolver>();
      const update = (services: readonly string[]): void => {
        const before = resolvers;
        const ofDc = dc === undefined ? {} : { dc };
        const make = (name: string): Resolver => consulResolver(name, { ...more, ...ofDc, tag }, parts);
        resolvers = new Map(services.map((name) => [name, before.get(name) ?? make(name)]));
        const entries = [...resolvers].map(([name, target]): CatalogEntry => ({
          name,
          target,
          ...(contract === undefined ? {} : { contract }),
        }));
        listener.update(entries);
      };
      const watch = new BlockingQuery(agent, query, clock, resolverPauses(parts.random));
      void watch.run({ update, failed: (error) => listener.failed(error) }, signal);
    },
  };
}

/** The services with a tag, of an answer of `/v1/catalog/services`. @throws Error if the text is no such answer */
function servicesOf(text: string, tag: string): readonly string[] {
  const answer: unknown = JSON.parse(text);
  if (typeof answer !== "object" || answer === null || Array.isArray(answer)) {
    throw new Error("the answer of Consul is no object");
  }
  const services = Object.entries(answer).filter(([, tags]) => Array.isArray(tags) && tags.includes(tag));
  return services.map(([name]) => name).toSorted();
}
