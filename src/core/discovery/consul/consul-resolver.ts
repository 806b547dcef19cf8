import { SetupError } from "../../errors/setup-error.ts";
import { systemClock } from "../../time/clock.ts";
import { resolverPauses, type ResolverParts } from "../polling.ts";
import type { Endpoint, Resolver, ResolverListener } from "../resolver.ts";
import { BlockingQuery } from "./blocking-query.ts";
import { ConsulAgent, type ConsulOptions } from "./consul-agent.ts";
import { endpointsOf } from "./health-entries.ts";

/** Options of `consulResolver`. */
export interface ConsulResolverOptions extends ConsulOptions {
  /** Only instances with this tag. Default: all. */
  readonly tag?: string;
  /**
   * The datacenter, or several in the order of their use: the instances of the next one are called as those of the one
   * before are not available. Default: that of the agent.
   */
  readonly dc?: string | readonly string[];
  /** Sorts by the distance to this node; `_agent` is the agent's own. Default: not sorted. */
  readonly near?: string;
  /** An expression of Consul's filter language. Default: none. */
  readonly filter?: string;
  /** Whether instances with a warning are called too, with their weight for it. Default: false. */
  readonly warning?: boolean;
}

/**
 * The healthy instances of a service of Consul, `consul:///SERVICE`. Changes come by blocking queries, within a second.
 *
 * An instance's zone is `zone` of its meta data, its weight the one that Consul has for its health.
 *
 * @throws TypeError if the name or the URL of the agent cannot be used
 */
export function consulResolver(
  service: string,
  options: ConsulResolverOptions = {},
  parts: ResolverParts = {},
): Resolver {
  if (typeof service !== "string" || service === "") {
    throw new SetupError("consulResolver takes the name of a service");
  }
  const clock = parts.clock ?? systemClock;
  const agent = new ConsulAgent(options, clock);
  const { dc } = options;
  const datacenters = dc === undefined ? [undefined] : typeof dc === "string" ? [dc] : dc;
  let watches: readonly BlockingQuery<Endpoint[]>[] = [];
  return {
    name: "consul",
    authority: service,
    namesCertificates: false,
    watch(listener, signal) {
      const merged = new MergedListener(listener, datacenters.length);
      watches = datacenters.map((datacenter, priority) => {
        const path = pathOf(service, datacenter, options);
        const query = {
          path,
          rules: `service "${service}" { policy = "read" }, node_prefix "" { policy = "read" }`,
          read: (text: string) => endpointsOf(text, options.warning === true, priority),
        };
        return new BlockingQuery(agent, query, clock, resolverPauses(parts.random));
      });
      for (const [index, watch] of watches.entries()) void watch.run(merged.part(index), signal);
    },
    refresh: () => {
      for (const watch of watches) watch.refresh();
    },
  };
}

function pathOf(service: string, dc: string | undefined, options: ConsulResolverOptions): string {
  const query = new URLSearchParams();
  // Warnings are no longer there once Consul has left out all that is not passing.
  if (options.warning !== true) query.set("passing", "1");
  if (dc !== undefined) query.set("dc", dc);
  for (const name of ["tag", "near", "filter"] as const) {
    const value = options[name];
    if (value !== undefined) query.set(name, value);
  }
  return `/v1/health/service/${encodeURIComponent(service)}?${query.toString()}`;
}

/** One listener for each datacenter, which together are one. */
class MergedListener {
  readonly #listener: ResolverListener;
  readonly #found: (readonly Endpoint[] | undefined)[];
  readonly #hasFailed: boolean[];

  constructor(listener: ResolverListener, datacenters: number) {
    this.#listener = listener;
    this.#found = Array.from({ length: datacenters }, () => undefined);
    this.#hasFailed = Array.from({ length: datacenters }, () => false);
  }

  part(index: number): ResolverListener {
    return {
      update: (endpoints) => {
        this.#found[index] = endpoints;
        this.#listener.update(this.#found.flatMap((list) => list ?? []));
      },
      failed: (error) => {
        this.#hasFailed[index] = true;
        const isAnswered = this.#found.some((list) => list !== undefined);
        // While another datacenter may still answer, nothing has failed.
        if (isAnswered || this.#hasFailed.every(Boolean)) this.#listener.failed(error);
      },
      confirmed: () => this.#listener.confirmed?.(),
    };
  }
}
