import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { CircuitBreakerPlan, MethodPlan, PlanLine } from "../policy/plan.ts";
import type { Plans } from "../policy/plans.ts";
import { selectorOf } from "../http-rule/http-rule.ts";
import { Breaker, type BreakerStats } from "../resilience/breaker.ts";
import { Concurrency } from "../resilience/concurrency.ts";
import { CalledRpc, type CallShare, type Limits } from "./called-rpc.ts";
import { EndpointBreakers } from "./endpoint-breakers.ts";

/** A breaker with what it is of, or those of all endpoints. */
export type LabelledBreaker =
  | { readonly label: string; readonly breaker: Breaker }
  | { readonly label: string; readonly endpoints: EndpointBreakers };

/** The rpcs of one target with their plans, each made when it is called first, and what they share. */
export class CallPolicies {
  readonly share: CallShare;
  readonly #plans: Plans;
  readonly #rpcs = new Map<DescMethod, CalledRpc>();
  /** By their settings, since rpcs with one for the target have the same one. */
  readonly #breakers = new Map<string, LabelledBreaker>();
  readonly #concurrencies = new Map<string, Concurrency>();

  constructor(plans: Plans, share: CallShare) {
    this.#plans = plans;
    this.share = share;
  }

  /** @throws SetupError naming the policy of the rpc that cannot be used */
  of(method: DescMethod): CalledRpc {
    return this.#rpcs.get(method) ?? this.#make(method);
  }

  /** Further attempts that are left now, 0 or more. */
  get budgetLeft(): number {
    const { budget, clock } = this.share;
    return Math.max(0, Math.floor(budget.left(clock.nowMs())));
  }

  /** Figures of all breakers, each with what it is of; those of endpoints are several of one label. */
  get breakers(): readonly (readonly [string, BreakerStats])[] {
    return [...this.#breakers.values()].flatMap((labelled) => {
      const all = "breaker" in labelled ? [labelled.breaker] : labelled.endpoints.all;
      return all.map((breaker) => [labelled.label, breaker.stats()] as const);
    });
  }

  /** State of the breakers by what they are of: 0 closed, 1 half-open, 2 open; of several the worst. */
  get breakerStates(): ReadonlyMap<string, number> {
    const states = new Map<string, number>();
    for (const { label } of this.#breakers.values()) states.set(label, 0);
    for (const [label, { state }] of this.breakers) {
      const number = state.kind === "open" ? 2 : Number(state.kind === "half-open");
      states.set(label, Math.max(states.get(label) ?? 0, number));
    }
    return states;
  }

  /** Every value of the plans of a service, with its origin. @throws SetupError as `of` */
  lines(service: DescService): readonly PlanLine[] {
    return this.#plans.lines(service);
  }

  #make(method: DescMethod): CalledRpc {
    const { books, name } = this.share;
    const plan = this.#plans.of(method);
    const rpc = new CalledRpc(plan, this.#limits(plan), this.share, books.rpc(name, method));
    this.#rpcs.set(method, rpc);
    return rpc;
  }

  #limits({ method, circuitBreaker, concurrency }: MethodPlan): Limits {
    const labelled = circuitBreaker === undefined ? undefined : this.#breaker(method, circuitBreaker);
    return {
      breaker: labelled !== undefined && "breaker" in labelled ? labelled.breaker : undefined,
      endpointBreakers: labelled !== undefined && "endpoints" in labelled ? labelled.endpoints : undefined,
      concurrency:
        concurrency === undefined
          ? undefined
          : fromMap(
              this.#concurrencies,
              concurrency.isShared ? method.parent.typeName : selectorOf(method),
              () => new Concurrency(this.share.name, concurrency, this.share.clock),
            ),
    };
  }

  #breaker(method: DescMethod, plan: CircuitBreakerPlan): LabelledBreaker {
    const { scope, ...options } = plan;
    const { name, clock, random } = this.share;
    const rpc = selectorOf(method);
    const isOfRpc = scope === "method" || scope === "endpoint_method";
    const key = `${scope} ${isOfRpc ? rpc : ""} ${JSON.stringify(options)}`;
    return fromMap(this.#breakers, key, (): LabelledBreaker => {
      const label = isOfRpc ? rpc : scope;
      const make = (subject: string | undefined): Breaker =>
        new Breaker({ ...options, name }, { clock, random, ...(subject === undefined ? {} : { subject }) });
      if (scope === "target" || scope === "method") {
        return { label, breaker: make(isOfRpc ? rpc : undefined) };
      }
      const refusal = `${name}: circuit open for ${isOfRpc ? `${rpc} on ` : ""}all endpoints`;
      return {
        label,
        endpoints: new EndpointBreakers(label, refusal, () => make(isOfRpc ? rpc : undefined)),
      };
    });
  }
}

function fromMap<T>(map: Map<string, T>, key: string, make: () => T): T {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
