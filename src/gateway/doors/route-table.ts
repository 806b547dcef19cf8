import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { rpcName } from "../../core/call/service.ts";
import { timeLimitsOf } from "./deadline.ts";
import { restHandlers, type RestHandlers, type RestRouteOptions } from "./rest/rest-routes.ts";
import type { RpcOptions } from "./rpc/rpc-options.ts";
import { RpcTable } from "./rpc-table.ts";
import { Router, type RouterOptions } from "../routing/router.ts";
import { compileRoute, routeName, type Route } from "../routing/route.ts";
import { RuleRefusals, type BadRuleOptions } from "../../core/http-rule/rule-refusals.ts";
import { combineRules, type RuleMode } from "../../core/http-rule/rule-set.ts";
import type { ServiceConfig } from "../../core/http-rule/service-config.ts";
import { SetupError } from "../../core/errors/setup-error.ts";

/** What a `RouteTable` is made of. */
export interface RouteTableOptions extends RestRouteOptions, RpcOptions, BadRuleOptions {
  readonly router: Partial<RouterOptions>;
  readonly rules: readonly ServiceConfig[];
  readonly ruleMode: RuleMode;
  /** Hears of parameters and fields that were ignored; `route` is the template. */
  readonly onIgnored: ((route: string, place: "query" | "body", name: string) => void) | undefined;
}

/** A route with the handlers that were chosen for it. */
interface Entry extends RestHandlers {
  readonly name: string;
}

/** All routes of a set of services, ready to serve. It never changes: other services are another table. */
export class RouteTable {
  readonly router: Router;
  /** The same rpcs by Connect and gRPC-Web. */
  readonly rpcs: RpcTable;
  readonly #entries = new Map<Route, Entry>();
  readonly #options: RouteTableOptions;
  readonly #deadlinesMs: ReadonlyMap<DescMethod, number>;

  /**
   * @throws Error when a service is there twice and, unless such rules are left out, when rules are wrong or match the
   * same requests; it names all of them
   */
  constructor(services: readonly DescService[], options: RouteTableOptions) {
    const twice = services.find(
      (service, index) => services.findIndex(({ typeName }) => typeName === service.typeName) < index,
    );
    if (twice !== undefined) throw new SetupError(`${twice.typeName} is registered twice`);
    const refusals = new RuleRefusals();
    const { bindings, deadlinesMs, fullyDecodeReservedExpansion } = combineRules(
      services.flatMap(({ methods }) => methods),
      options.rules,
      options.ruleMode,
      refusals.attempt,
    );
    const routes = bindings.map((binding) => refusals.attempt(() => compileRoute(binding)));
    this.router = new Router(
      routes.filter((route) => route !== undefined),
      { ...options.router, ...(fullyDecodeReservedExpansion ? { pathDecoding: "all" } : {}) },
      refusals.attempt,
    );
    refusals.settle(options);
    this.#options = options;
    this.#deadlinesMs = deadlinesMs;
    this.rpcs = new RpcTable(services, options, (method) => ({
      ...options,
      ...timeLimitsOf(method, deadlinesMs.get(method), options),
    }));
    for (const route of this.router.routes) {
      const own = optionsFor(route, options, deadlinesMs.get(route.method));
      this.#entries.set(route, { name: route.template.text, ...restHandlers(route, own) });
    }
  }

  /** Name and handler of a route of this table. */
  entry(route: Route): Entry {
    const entry = this.#entries.get(route);
    if (entry === undefined) throw new TypeError(`${routeName(route)} is no route of this table`);
    return entry;
  }

  /** What all routes share, with what is this route's own. */
  optionsOf(route: Route): RouteTableOptions {
    return optionsFor(route, this.#options, this.#deadlinesMs.get(route.method));
  }

  /** One line for each route: the bindings of the contract, and for rpcs without one the path that every rpc has. */
  describe(): string[] {
    const bound = new Set(this.router.routes.filter(({ implicit }) => !implicit).map(({ method }) => method));
    return this.router.routes
      .filter(({ implicit, method }) => !implicit || !bound.has(method))
      .map((route) => `${routeName(route)} → ${rpcName(route.method)}`);
  }
}

/** What all routes share, with what is one route's own: its deadline, its name in reports. */
function optionsFor(
  route: Route,
  options: RouteTableOptions,
  deadlineMs: number | undefined,
): RouteTableOptions {
  const { onIgnored, registry } = options;
  const { text } = route.template;
  return {
    ...options,
    ...timeLimitsOf(route.method, deadlineMs, options),
    bind: {
      ...options.bind,
      registry,
      onIgnored: onIgnored && ((place, name) => onIgnored(text, place, name)),
    },
    json: { ...options.json, registry },
  };
}
