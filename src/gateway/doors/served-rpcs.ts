import type { DescMethod, DescService, Registry } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { JsonWriteOptions } from "../../core/codec/message-to-json.ts";
import { joinChecks } from "../../core/call/message-checks.ts";
import { contractTimeoutMs } from "../../core/call/contract-timeout.ts";
import { rpcName } from "../../core/call/service.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import { type BadRuleOptions, RuleRefusals } from "../../core/http-rule/rule-refusals.ts";
import { combineRules, type RuleMode } from "../../core/http-rule/rule-set.ts";
import type { ServiceConfig } from "../../core/http-rule/service-config.ts";
import { checkedInvoker } from "../../core/validation/checked-invoker.ts";
import { pathOf } from "../../core/net/request-target.ts";
import { compileRoute, type Route, routeName } from "../../core/http-rule/route.ts";
import { Router, type RouterOptions } from "../routing/router.ts";
import { timeLimitsOf } from "./deadline.ts";
import type { DoorKit } from "./door-kit.ts";
import type { RpcMemory } from "./rpc-memory.ts";

/** Options of compiling and matching routes. */
export interface RoutingOptions extends BadRuleOptions {
  readonly router: Partial<RouterOptions>;
  /** Rules outside the proto. */
  readonly rules: readonly ServiceConfig[];
  readonly ruleMode: RuleMode;
}

/** What a set of rpcs is made of. */
export interface ServedParts {
  /** The rpcs by `/package.Service/Method`. */
  readonly byPath: ReadonlyMap<string, DescMethod>;
  readonly router: Router;
  readonly deadlinesMs: ReadonlyMap<DescMethod, number>;
  /** Types that `google.protobuf.Any` may contain in messages of a service. */
  readonly registryOf: (service: DescService) => Registry | undefined;
  /** The rpcs that doors compile at once, and their routes. */
  readonly due: readonly DescMethod[];
  readonly dueRoutes: readonly Route[];
  /** Routes that doors check at once and compile when their rpcs are first called. Default: none. */
  readonly lateRoutes?: readonly Route[] | undefined;
  /** What doors have compiled before; undefined where all rpcs are due, or late. */
  readonly memory?: RpcMemory | undefined;
}

/** Of a set with more rpcs, each is compiled when it is first called: to compile thousands takes seconds. */
const mostDue = 256;

/**
 * The rpcs of a set of services with their routes, for all doors. Immutable: other services are another `ServedRpcs`.
 */
export class ServedRpcs {
  readonly router: Router;
  /** The rpcs that doors compile at once; all others when they are first called. */
  readonly due: readonly DescMethod[];
  readonly dueRoutes: readonly Route[];
  /** Routes that are compiled later; what is wrong with them has to be found at once. */
  readonly lateRoutes: readonly Route[];
  readonly #parts: ServedParts;

  constructor(parts: ServedParts) {
    this.router = parts.router;
    this.due = parts.due;
    this.dueRoutes = parts.dueRoutes;
    this.lateRoutes = parts.lateRoutes ?? [];
    this.#parts = parts;
  }

  /**
   * Compiles the rpcs of services.
   *
   * @throws Error when a service is added twice and, unless such rules are skipped, when rules are invalid or match the
   * same requests; it names all of them
   */
  static of(
    services: readonly DescService[],
    registry: Registry | undefined,
    options: RoutingOptions,
  ): ServedRpcs {
    const twice = services.find(
      (service, index) => services.findIndex(({ typeName }) => typeName === service.typeName) < index,
    );
    if (twice !== undefined) throw new SetupError(`${twice.typeName} is registered twice`);
    const methods = services.flatMap((service) => service.methods);
    const refusals = new RuleRefusals();
    const { attempt } = refusals;
    const { bindings, deadlinesMs, fullyDecodeReservedExpansion } = combineRules(
      methods,
      options.rules,
      options.ruleMode,
      attempt,
    );
    const routes = bindings.map((binding) => attempt(() => compileRoute(binding)));
    const router = new Router(
      routes.filter((route) => route !== undefined),
      { ...options.router, ...(fullyDecodeReservedExpansion ? { pathDecoding: "all" } : {}) },
      attempt,
    );
    refusals.settle(options);
    const byPath = new Map(methods.map((method) => [`/${rpcName(method)}`, method]));
    return new ServedRpcs({
      byPath,
      router,
      deadlinesMs,
      registryOf: () => registry,
      ...(methods.length <= mostDue
        ? { due: methods, dueRoutes: router.routes }
        : { due: [], dueRoutes: [], lateRoutes: router.routes }),
    });
  }

  /** The services of the rpcs, in the order of registration. */
  get services(): readonly DescService[] {
    return [...new Set([...this.#parts.byPath.values()].map(({ parent }) => parent))];
  }

  /** Types that messages may contain in `google.protobuf.Any`; where contracts differ, those of the first. */
  get registry(): Registry | undefined {
    const [first] = this.#parts.byPath.values();
    return first && this.#parts.registryOf(first.parent);
  }

  /** The same rpcs once more: what doors have compiled for the former ones is not that of these. */
  again(): ServedRpcs {
    return new ServedRpcs(this.#parts);
  }

  /** The rpc whose name is the path of a target, `/package.Service/Method`. */
  at(url: string): DescMethod | undefined {
    return this.#parts.byPath.get(pathOf(url));
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
   * @throws SetupError naming rpc and field for a rule of its messages that cannot be compiled
   */
  kitOf(method: DescMethod, route: string, kit: DoorKit): DoorKit {
    const { limits, json, binding, onIgnored, invoker } = kit;
    const checks = joinChecks(kit.validation?.of(method), kit.admission?.messageChecks(method) ?? []);
    const { registryOf } = this.#parts;
    const registry = registryOf(method.parent);
    return {
      ...kit,
      invoker: checks === undefined ? invoker : checkedInvoker(invoker, method, checks, kit.observers),
      limits: { ...limits, ...timeLimitsOf(method, this.#deadlineMs(method), limits) },
      json: withTypes(json, registry),
      binding: {
        ...binding,
        registry,
        onIgnored: onIgnored && ((place, name) => onIgnored(route, place, name)),
      },
    };
  }

  /** Whether some rpcs are compiled when they are first called. */
  get isLazy(): boolean {
    return this.#parts.memory !== undefined || this.lateRoutes.length > 0;
  }

  /**
   * What `make` compiles for an rpc, or what it has compiled for an earlier set of rpcs.
   *
   * @param owner the part that compiles, one object for all sets
   * @param key what it is compiled of: the rpc, or a route of it
   */
  compiled<T>(owner: object, key: object, make: () => T): T {
    const { memory } = this.#parts;
    return memory === undefined ? make() : memory.recall(owner, key, make);
  }

  /** That of the rules or of the contract, whichever is shorter; undefined for none. */
  #deadlineMs(method: DescMethod): number | undefined {
    const ofRules = this.#parts.deadlinesMs.get(method);
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

/** Options of JSON with types, by the types. */
const typedJson = new WeakMap<object, WeakMap<object, JsonWriteOptions>>();

/** The same object for all doors: they share what is written by it. */
function withTypes(json: JsonWriteOptions, registry: Registry | undefined): JsonWriteOptions {
  let known = typedJson.get(json);
  if (known === undefined) typedJson.set(json, (known = new WeakMap()));
  const key = registry ?? json;
  let typed = known.get(key);
  if (typed === undefined) known.set(key, (typed = { ...json, registry }));
  return typed;
}
