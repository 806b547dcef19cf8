import type { EndpointHealth, HealthOptions } from "../cluster/health.ts";
import type { Clock } from "../time/clock.ts";

/** What a check needs of the checks of a cluster. */
export interface CheckParts {
  readonly options: HealthOptions;
  readonly clock: Clock;
  readonly random: () => number;
  readonly report: (health: EndpointHealth) => void;
  /** An endpoint has no health service, and so counts as serving: warns once for all endpoints. */
  readonly unimplemented: () => void;
}
