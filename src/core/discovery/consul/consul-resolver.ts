import { Code, ConnectError } from "../../errors/errors.ts";
import { SetupError } from "../../errors/setup-error.ts";
import { systemClock, type Clock } from "../../time/clock.ts";
import type { Pauses } from "../../time/pauses.ts";
import { resolverPauses, type ResolverParts } from "../polling.ts";
import type { Endpoint, Resolver, ResolverListener } from "../resolver.ts";
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

/** How long Consul may hold a query until something changes. */
const waitSeconds = 55;
/** Consul adds up to a sixteenth of the wait by chance; then a query is given up, in milliseconds. */
const blockingLimitMs = waitSeconds * 1_000 * (17 / 16) + 5_000;
/** The same of a query that does not wait. */
const limitMs = 10_000;
/** Least time from one query to the next, in milliseconds: fewer than two in a second, whatever Consul answers. */
const leastMs = 600;

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
  let watches: readonly DatacenterWatch[] = [];
  return {
    name: "consul",
    authority: service,
    namesCertificates: false,
    watch(listener, signal) {
      const merged = new MergedListener(listener, datacenters.length);
      watches = datacenters.map((datacenter, priority) => {
        const path = pathOf(service, datacenter, options);
        const query = { service, path, takesWarning: options.warning === true, priority };
        return new DatacenterWatch(agent, query, clock, resolverPauses(parts.random));
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

interface Query {
  readonly service: string;
  readonly path: string;
  readonly takesWarning: boolean;
  readonly priority: number;
}

/** The instances of one datacenter: one query at a time, each with the index of the answer before it. */
class DatacenterWatch {
  readonly #agent: ConsulAgent;
  readonly #query: Query;
  readonly #clock: Clock;
  readonly #pauses: Pauses;
  /** That of the last answer; 0 asks for the instances of now. */
  #index = 0;
  #wake: (() => void) | undefined;

  constructor(agent: ConsulAgent, query: Query, clock: Clock, pauses: Pauses) {
    this.#agent = agent;
    this.#query = query;
    this.#clock = clock;
    this.#pauses = pauses;
  }

  /** Ends the pause after a failure. */
  refresh(): void {
    this.#wake?.();
  }

  /** Asks until the signal fires. Never rejects. */
  async run(listener: ResolverListener, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const startedMs = this.#clock.nowMs();
      let pauseMs = 0;
      try {
        await this.#ask(listener, signal);
        this.#pauses.reset();
      } catch (error) {
        if (signal.aborted) return;
        // An agent that restarts begins to count anew.
        this.#index = 0;
        pauseMs = this.#pauses.nextMs();
        listener.failed(this.#errorOf(error));
      }
      const spentMs = this.#clock.nowMs() - startedMs;
      await this.#pause(Math.max(pauseMs, leastMs - spentMs), pauseMs > 0, signal);
    }
  }

  async #ask(listener: ResolverListener, signal: AbortSignal): Promise<void> {
    const { path, takesWarning, priority, service } = this.#query;
    const blocks = this.#index > 0;
    const wait = blocks ? `&index=${this.#index}&wait=${waitSeconds}s` : "";
    const timeoutMs = blocks ? blockingLimitMs : limitMs;
    const reply = await this.#agent.send({ method: "GET", path: path + wait, timeoutMs, signal });
    if (signal.aborted) return;
    if (reply.status === 403) {
      const rule = `service "${service}" { policy = "read" }, node_prefix "" { policy = "read" }`;
      throw new ConnectError(`consul: the token lacks the ACL rules ${rule}`, Code.Unavailable);
    }
    if (reply.status !== 200) throw new Error(`HTTP ${reply.status}: ${reply.text.slice(0, 200)}`);
    const endpoints = endpointsOf(reply.text, takesWarning, priority);
    const index = indexOf(reply.header("x-consul-index"));
    const isUnchanged = blocks && index === this.#index;
    this.#index = index < this.#index ? 0 : index;
    if (isUnchanged) listener.confirmed?.();
    else listener.update(endpoints);
  }

  #pause(ms: number, isAfterFailure: boolean, signal: AbortSignal): Promise<void> {
    if (ms <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        signal.removeEventListener("abort", end);
        this.#wake = undefined;
        resolve();
      };
      const cancel = this.#clock.after(ms, end, false);
      signal.addEventListener("abort", end);
      if (isAfterFailure) this.#wake = end;
    });
  }

  #errorOf(error: unknown): ConnectError {
    if (error instanceof ConnectError) return error;
    return new ConnectError(
      "consul: the agent does not answer",
      Code.Unavailable,
      undefined,
      undefined,
      error,
    );
  }
}

/** The index of an answer; 0 where it has none that can be used. */
function indexOf(header: string | undefined): number {
  const index = /^\d{1,15}$/.test(header ?? "") ? Number(header) : 0;
  return index > 0 ? index : 0;
}
