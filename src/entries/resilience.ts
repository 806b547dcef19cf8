/** `ts-ms/resilience`: a circuit breaker for calls of any kind, and the types of policies and of their observers. */

export {
  Breaker,
  type BreakerParts,
  type BreakerState,
  type BreakerStats,
  type Permit,
} from "../core/resilience/breaker.ts";
export { breakerDefaults, type BreakerOptions } from "../core/resilience/breaker-options.ts";
export type { MethodPolicyInit } from "../core/policy/method-policy.ts";
export type { PlanLine } from "../core/policy/plan.ts";
export type {
  BreakerEvent,
  ClientObserver,
  EndpointEvent,
  FinishedAttempt,
  FinishedCall,
} from "../core/cluster/client-observer.ts";
