/** `ts-ms/resilience`: a circuit breaker for calls of any kind. */

export {
  Breaker,
  type BreakerParts,
  type BreakerState,
  type BreakerStats,
  type Permit,
} from "../core/resilience/breaker.ts";
export { breakerDefaults, type BreakerOptions } from "../core/resilience/breaker-options.ts";
