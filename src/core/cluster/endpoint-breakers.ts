import type { ConnectError } from "../errors/errors.ts";
import { unavailableFor } from "../errors/retry-info.ts";
import type { Breaker, Permit } from "../resilience/breaker.ts";
import type { ClusterEndpoint } from "./endpoint.ts";

/** A breaker for each endpoint: calls pass over those that are open. */
export class EndpointBreakers {
  /** What they are of, for the label of their metric. */
  readonly label: string;
  readonly #make: () => Breaker;
  readonly #refusal: string;
  readonly #breakers = new Map<ClusterEndpoint, Breaker>();

  /** @param refusal the text of the error of a call for which all are open */
  constructor(label: string, refusal: string, make: () => Breaker) {
    this.label = label;
    this.#refusal = refusal;
    this.#make = make;
  }

  /** The breakers of endpoints that are known now. */
  get all(): readonly Breaker[] {
    for (const endpoint of this.#breakers.keys()) if (endpoint.isGone) this.#breakers.delete(endpoint);
    return [...this.#breakers.values()];
  }

  admits(endpoint: ClusterEndpoint): boolean {
    return this.#breakers.get(endpoint)?.admits !== false;
  }

  /** @throws ConnectError UNAVAILABLE, with `google.rpc.RetryInfo`, if the breaker refuses the call */
  acquire(endpoint: ClusterEndpoint): Permit {
    let breaker = this.#breakers.get(endpoint);
    if (breaker === undefined) this.#breakers.set(endpoint, (breaker = this.#make()));
    return breaker.acquire();
  }

  /** The error of a call for which the breakers of all these endpoints are open; undefined if one is not. */
  refusal(endpoints: Iterable<ClusterEndpoint>): ConnectError | undefined {
    let earliestMs = Infinity;
    for (const endpoint of endpoints) {
      const breaker = this.#breakers.get(endpoint);
      if (breaker === undefined || breaker.admits) return undefined;
      earliestMs = Math.min(earliestMs, breaker.retryAfterMs);
    }
    return earliestMs === Infinity ? undefined : unavailableFor(this.#refusal, earliestMs);
  }
}
