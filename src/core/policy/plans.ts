import { getOption, hasOption, type DescMethod, type DescService } from "@bufbuild/protobuf";
import {
  policy as methodPolicy,
  service_policy as servicePolicy,
  type MethodPolicy,
} from "../../../gen/ts_ms/v1/policy_pb.ts";
import { SetupError } from "../errors/setup-error.ts";
import { selectorOf } from "../http-rule/http-rule.ts";
import type { RetryInit, SelectedPolicy } from "./method-policy.ts";
import { codeLayer } from "./policy-layer.ts";
import { mergePlan, type AppliedLayer, type MethodPlan, type PlanLine } from "./plan.ts";
import { contractLayer } from "./contract-layer.ts";
import { readSelected, type SelectedLayer } from "./selected-policies.ts";

/** What plans are made of, besides the contract. */
export interface PlanSources {
  /** Policies of this target, the last one wins. Default: none. */
  readonly policies?: readonly SelectedPolicy[];
  /** Whether the options `policy` and `service_policy` of the contract count. Default: true. */
  readonly contractPolicies?: boolean;
  /** Retries of all rpcs, below the contract. Default: those of `RetryInit`. */
  readonly retry?: RetryInit;
  /** Layers between the contract and `policies`: those of a gRPC service config. Default: none. */
  readonly between?: (method: DescMethod) => readonly AppliedLayer[];
}

/** The plans of one target, made when a service is first called or registered. */
export class Plans {
  readonly #sources: PlanSources;
  readonly #selected: readonly SelectedLayer[];
  readonly #first: readonly AppliedLayer[];
  readonly #byService = new Map<DescService, ReadonlyMap<DescMethod, MethodPlan>>();

  /** @throws SetupError naming the policy and the field that cannot be used */
  constructor(sources: PlanSources = {}) {
    this.#sources = sources;
    this.#selected = readSelected(sources.policies ?? []);
    const { retry } = sources;
    this.#first = retry === undefined ? [] : [{ ...codeLayer({ retry }, "clients"), reach: "many" }];
  }

  /**
   * The plan of an rpc.
   *
   * @throws SetupError naming rpc and field of a policy that cannot be used, or the selector that names an rpc of this
   *   service that it does not have
   */
  of(method: DescMethod): MethodPlan {
    const plan = this.#plansOf(method.parent).get(method);
    if (plan === undefined) throw new SetupError(`${selectorOf(method)} is no rpc of its service`);
    return plan;
  }

  /** Every value of the plans of a service, with its origin. @throws SetupError as `of` */
  lines(service: DescService): PlanLine[] {
    return [...this.#plansOf(service).values()].flatMap((plan) => plan.lines);
  }

  /** The selectors of `policies` that match no rpc of these services: for programs that know all of them. */
  unmatched(services: readonly DescService[]): string[] {
    return this.#selected.flatMap(({ selector }) => selector.unmatched(services));
  }

  #plansOf(service: DescService): ReadonlyMap<DescMethod, MethodPlan> {
    const known = this.#byService.get(service);
    if (known !== undefined) return known;
    for (const { selector, layer } of this.#selected) {
      const [misspelt] = selector.misspeltFor(service);
      if (misspelt !== undefined) {
        throw new SetupError(`${layer.place}: selector "${misspelt}" matches no rpc of ${service.typeName}`);
      }
    }
    const ofService = this.#contract(service);
    const plans = new Map(
      service.methods.map((method) => [method, mergePlan(method, this.#layers(method, ofService))]),
    );
    this.#byService.set(service, plans);
    return plans;
  }

  #layers(method: DescMethod, ofService: readonly AppliedLayer[]): AppliedLayer[] {
    const selected = this.#selected.filter(({ selector }) => selector.matches(method));
    return [
      ...this.#first,
      ...ofService,
      ...this.#contract(method),
      ...(this.#sources.between?.(method) ?? []),
      ...selected.map(({ selector, layer }): AppliedLayer => ({
        ...layer,
        reach: selector.names(method) ? "rpc" : "many",
      })),
    ];
  }

  /** The option of a service or an rpc. */
  #contract(of: DescService | DescMethod): AppliedLayer[] {
    if (this.#sources.contractPolicies === false) return [];
    const isService = of.kind === "service";
    const name = isService ? of.typeName : selectorOf(of);
    const file = isService ? of.file : of.parent.file;
    const option = isService ? "service_policy" : "policy";
    const place = `${file.name}.proto: ${option} of ${name}`;
    const policy = optionOf(of, place);
    return policy === undefined
      ? []
      : [{ ...contractLayer(policy, place), reach: isService ? "service" : "rpc" }];
  }
}

function optionOf(of: DescService | DescMethod, place: string): MethodPolicy | undefined {
  try {
    if (of.kind === "service") {
      return hasOption(of, servicePolicy) ? getOption(of, servicePolicy) : undefined;
    }
    return hasOption(of, methodPolicy) ? getOption(of, methodPolicy) : undefined;
  } catch (cause) {
    throw new SetupError(`${place}: it is not a valid ts_ms.v1.MethodPolicy`, { cause });
  }
}
