import type { DescMethod, DescService, Registry } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { contractTimeoutMs } from "../../core/call/contract-timeout.ts";
import { rpcName } from "../../core/call/service.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import { type BadRuleOptions, RuleRefusals } from "../../core/http-rule/rule-refusals.ts";
import { combineRules, type RuleMode } from "../../core/http-rule/rule-set.ts";
import type { ServiceConfig } from "../../core/http-rule/service-config.ts";
import { pathOf } from "../../core/net/request-target.ts";
import { compileRoute, type Route, routeName } from "../../core/http-rule/route.ts";
import { Router, type RouterOptions } from "../routing/router.ts";
import { timeLimitsOf } from "./deadline.ts";
import type { DoorKit } from "./door-kit.ts";

/** Options of compiling and matching routes. */
export interface RoutingOptions extends BadRuleOptions {
  readonly router: Partial<RouterOptions>;
  /** Rules outside the proto. */
  readonly rules: readonly ServiceConfig[];
  readonly ruleMode: RuleMode;
}

/**
 * The rpcs of a set of services with their routes, for all doors. Immutable: other services are another `ServedRpcs`.
 */
export class ServedRpcs {
  readonly methods: readonly DescMethod[];
  readonly router: Router;
  /** Types that `google.protobuf.Any` and error details may contain. */
  readonly #registry: Registry | undefined;
  readonly #deadlinesMs: ReadonlyMap<DescMethod, number>;
  readonly #byPath: ReadonlyMap<string, DescMethod>;

  /**
   * @throws Error when a service is added twice and, unless such rules are skipped, when rules are invalid or match the
   * same requests; it names all of them
   */
  constructor(services: readonly DescService[], registry: Registry | undefined, options: RoutingOptions) {
    const twice = services.find(
      (service, index) => services.findIndex(({ typeName }) => typeName === service.typeName) < index,
    );
    if (twice !== undefined) throw new SetupError(`${twice.typeName} is registered twice`);
    this.methods = services.flatMap(({ methods }) => methods);
    const refusals = new RuleRefusals();
    const { bindings, deadlinesMs, fullyDecodeReservedExpansion } = combineRules(
      this.methods,
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
    this.#registry = registry;
    this.#deadlinesMs = deadlinesMs;
    this.#byPath = new Map(this.methods.map((method) => [`/${rpcName(method)}`, method]));
  }

  /** The rpc whose name is the path of a target, `/package.Service/Method`. */
  at(url: string): DescMethod | undefined {
    return this.#byPath.get(pathOf(url));
  }

  /** The HTTP methods that Connect, gRPC-Web and gRPC use for the rpc of this target; none if there is no rpc. */
  methodsAt(url: string): readonly string[] {
    const method = this.at(url);
    if (method === undefined) return [];
    const isRead =
      method.methodKind === "unary" && method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
    return isRead ? ["GET", "POST"] : ["POST"];
  }

  /**
   * `kit` for one rpc: with its limits from the rules, the types of this set, and `route` in reports of ignored
   * parameters and fields.
   *
   * @param route the template of its route, for reports
   */
  kitOf(method: DescMethod, route: string, kit: DoorKit): DoorKit {
    const { limits, json, binding, onIgnored } = kit;
    const registry = this.#registry;
    return {
      ...kit,
      limits: { ...limits, ...timeLimitsOf(method, this.#deadlineMs(method), limits) },
      json: { ...json, registry },
      binding: {
        ...binding,
        registry,
        onIgnored: onIgnored && ((place, name) => onIgnored(route, place, name)),
      },
    };
  }

  /** That of the rules or of the contract, whichever is shorter; undefined for none. */
  #deadlineMs(method: DescMethod): number | undefined {
    const ofRules = this.#deadlinesMs.get(method);
    const ofContract = contractTimeoutMs(method);
    return ofRules === undefined || ofContract === undefined
      ? (ofRules ?? ofContract)
      : Math.min(ofRules, ofContract);
  }

  /**
   * One line for each route: those of the contract's bindings, and for rpcs without a binding
   * `/package.Service/Method`.
   */
  describe(): string[] {
    const bound = new Set(this.router.routes.filter(({ implicit }) => !implicit).map(({ method }) => method));
    return this.router.routes
      .filter(({ implicit, method }) => !implicit || !bound.has(method))
      .map((route: Route) => `${routeName(route)} → ${rpcName(route.method)}`);
  }
}
