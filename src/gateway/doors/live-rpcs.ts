import type { DescMethod, DescService, Registry } from "@bufbuild/protobuf";
import { rpcName } from "../../core/call/service.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import { compileRoute, type Route } from "../../core/http-rule/route.ts";
import { RuleRefusals } from "../../core/http-rule/rule-refusals.ts";
import { combineRules } from "../../core/http-rule/rule-set.ts";
import { Router } from "../routing/router.ts";
import { RpcMemory } from "./rpc-memory.ts";
import { type RoutingOptions, ServedRpcs } from "./served-rpcs.ts";

/** Services of several contracts, which come and go one by one. */
export interface Contracts {
  /** No two have one name. Those that are served already come first, whatever their place is. */
  readonly services: readonly DescService[];
  /** Types that `google.protobuf.Any` may contain in messages of a service. */
  readonly registryOf: (service: DescService) => Registry | undefined;
  /** Types that error details may contain, of all contracts together; undefined for those of the options. */
  readonly registry?: Registry | undefined;
}

/** One service that is served. */
interface LiveService {
  readonly routes: readonly Route[];
  readonly registry: Registry | undefined;
}

/**
 * Rpcs that come and go while others are called: only what is new is compiled. The current set is the same `Router` and
 * the same tables, changed between two requests.
 */
export class LiveRpcs<T> {
  readonly #routing: RoutingOptions;
  readonly #open: (rpcs: ServedRpcs) => T;
  readonly #memory: RpcMemory;
  readonly #router: Router;
  readonly #byPath = new Map<string, DescMethod>();
  readonly #deadlinesMs = new Map<DescMethod, number>();
  readonly #live = new Map<DescService, LiveService>();
  #leftOut = new Map<DescService, SetupError>();

  /**
   * @param open compiles what else depends on the rpcs: those that are due
   * @throws SetupError if the rules outside the proto are wrong
   */
  constructor(routing: RoutingOptions, open: (rpcs: ServedRpcs) => T) {
    this.#routing = routing;
    this.#open = open;
    this.#memory = new RpcMemory();
    const { fullyDecodeReservedExpansion } = combineRules(
      [],
      routing.rules,
      routing.ruleMode,
      (make) => make(),
      ignore,
    );
    const decoding = fullyDecodeReservedExpansion ? { pathDecoding: "all" as const } : {};
    this.#router = new Router([], { ...routing.router, ...decoding });
  }

  /** The services that are served. */
  get services(): readonly DescService[] {
    return [...this.#live.keys()];
  }

  /**
   * Serves these services and no others.
   *
   * @returns what `open` has made, and the services that cannot be served beside the others, with the reason
   */
  serve({ services, registryOf }: Contracts): {
    readonly served: T;
    readonly leftOut: ReadonlyMap<DescService, SetupError>;
  } {
    const wanted = new Set(services);
    let hasGone = false;
    for (const [service, { registry }] of this.#live) {
      if (wanted.has(service) && registryOf(service) === registry) continue;
      this.#remove(service);
      hasGone = true;
    }
    const before = this.#leftOut;
    this.#leftOut = new Map();
    for (const service of wanted) {
      if (this.#live.has(service)) continue;
      // What was left out fits only after something else has gone.
      const known = hasGone ? undefined : before.get(service);
      const reason = known ?? this.#add(service, registryOf(service));
      if (reason !== undefined) this.#leftOut.set(service, reason);
    }
    return { served: this.#open(this.#view([], [])), leftOut: this.#leftOut };
  }

  /** From now on everything is compiled anew. */
  forget(): void {
    this.#memory.clear();
  }

  /** Adds a service whole, or returns why it cannot be served. */
  #add(service: DescService, registry: Registry | undefined): SetupError | undefined {
    const refusals = new RuleRefusals();
    const { methods } = service;
    const { rules, ruleMode } = this.#routing;
    try {
      const { bindings, deadlinesMs } = combineRules(methods, rules, ruleMode, refusals.attempt, ignore);
      const routes = bindings
        .map((binding) => refusals.attempt(() => compileRoute(binding)))
        .filter((route) => route !== undefined);
      this.#router.change([], routes, refusals.attempt);
      this.#live.set(service, { routes, registry });
      for (const method of methods) this.#byPath.set(`/${rpcName(method)}`, method);
      for (const [method, deadlineMs] of deadlinesMs) this.#deadlinesMs.set(method, deadlineMs);
      refusals.settle(this.#routing);
      this.#open(this.#view(methods, routes));
      return undefined;
    } catch (error) {
      this.#remove(service);
      if (error instanceof SetupError) return error;
      throw error;
    }
  }

  #remove(service: DescService): void {
    this.#router.change(this.#live.get(service)?.routes ?? [], []);
    this.#live.delete(service);
    for (const method of service.methods) {
      this.#byPath.delete(`/${rpcName(method)}`);
      this.#deadlinesMs.delete(method);
      this.#memory.forget(method);
    }
  }

  #view(due: readonly DescMethod[], dueRoutes: readonly Route[]): ServedRpcs {
    return new ServedRpcs({
      byPath: this.#byPath,
      router: this.#router,
      deadlinesMs: this.#deadlinesMs,
      registryOf: (service) => this.#live.get(service)?.registry,
      due,
      dueRoutes,
      memory: this.#memory,
    });
  }
}

/** Rules outside the proto may select rpcs that are not there yet, or no longer. */
function ignore(): undefined {
  return undefined;
}
