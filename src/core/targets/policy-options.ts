import type { ClientObserver } from "../cluster/client-observer.ts";
import { checkOptions, show } from "../config/check-options.ts";
import { SetupError } from "../errors/setup-error.ts";
import type { SelectedPolicy } from "../policy/method-policy.ts";
import { readSelected } from "../policy/selected-policies.ts";
import type { RetryBudgetOptions } from "../resilience/retry-budget.ts";

/** Options of `dial` that say how calls are made. */
export interface PolicyDialOptions {
  /**
   * Policies of rpcs of this target: of each field the last one counts, and wins over that of the contract. Default:
   * none.
   */
  readonly policies: readonly SelectedPolicy[];
  /** Whether the options `ts_ms.v1.policy` and `ts_ms.v1.service_policy` of contracts count. Default: true. */
  readonly contractPolicies: boolean;
  /** How many further attempts all calls together may make. Default: see `RetryBudgetOptions`. */
  readonly retryBudget: Partial<RetryBudgetOptions>;
  /**
   * A service config of gRPC, an object or its JSON text: `methodConfig`, `retryThrottling`, `healthCheckConfig`,
   * `connectionScaling` and `loadBalancingConfig`. It is read as gRPC reads it. Its methods stand between the contract
   * and `policies`; other options win over the rest of it. Default: none.
   */
  readonly serviceConfig: object | string | undefined;
  /** Called with calls, endpoints and circuit breakers of this target. Default: none. */
  readonly clientObservers: readonly ClientObserver[];
}

/** The defaults of `PolicyDialOptions`. */
export const policyDialDefaults: PolicyDialOptions = Object.freeze({
  policies: Object.freeze([]),
  contractPolicies: true,
  retryBudget: Object.freeze({}),
  serviceConfig: undefined,
  clientObservers: Object.freeze([]),
});

const budgetOptions = { ratio: 0, reserve: 0, windowMs: 0 };

/** Whether options need what only clusters have. */
export function givesPolicies(options: Partial<PolicyDialOptions>): boolean {
  const { policies = [], retryBudget, serviceConfig, clientObservers = [] } = options;
  return (
    policies.length > 0 ||
    retryBudget !== undefined ||
    serviceConfig !== undefined ||
    clientObservers.length > 0
  );
}

/** @throws SetupError naming the option, policy and field that cannot be used */
export function checkPolicyOptions(options: Partial<PolicyDialOptions>): void {
  const { policies = policyDialDefaults.policies, contractPolicies = true, retryBudget } = options;
  if (!Array.isArray(policies)) throw wrong("policies", "a list of policies", policies);
  for (const policy of policies) {
    if (typeof policy !== "object" || policy === null)
      throw wrong("policies", "a list of policies", policies);
  }
  readSelected(policies);
  if (typeof contractPolicies !== "boolean")
    throw wrong("contractPolicies", "true or false", contractPolicies);
  if (!Array.isArray(options.clientObservers ?? [])) {
    throw wrong("clientObservers", "a list of observers", options.clientObservers);
  }
  if (retryBudget === undefined) return;
  checkOptions<RetryBudgetOptions>("dial: retryBudget", retryBudget, budgetOptions);
  for (const [name, value] of Object.entries(retryBudget) as [string, number | undefined][]) {
    if (value === undefined || (value >= 0 && value < Infinity && (name !== "windowMs" || value > 0)))
      continue;
    const least = name === "windowMs" ? "above 0" : "from 0";
    throw wrong(`retryBudget.${name}`, `a number ${least}`, value);
  }
}

function wrong(name: string, allowed: string, value: unknown): SetupError {
  return new SetupError(`dial: the option ${name} must be ${allowed}, not ${show(value)}`);
}
