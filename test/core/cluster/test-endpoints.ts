import type { EndpointCandidate } from "../../../src/core/cluster/balance.ts";
import { EndpointLoad, type LoadedAttempt } from "../../../src/core/cluster/endpoint-load.ts";

/** An endpoint for tests of pickers. */
export class TestEndpoint implements EndpointCandidate {
  readonly load = new EndpointLoad(0);
  readonly hashKey: string;
  weight: number;
  readonly fullWeight: number;
  readonly priority: number;
  readonly zone: string | undefined;
  isJudged = true;

  constructor(hashKey: string, options: { weight?: number; priority?: number; zone?: string } = {}) {
    const { weight = 1, priority = 0, zone } = options;
    this.hashKey = hashKey;
    this.weight = this.fullWeight = weight;
    this.priority = priority;
    this.zone = zone;
  }

  /** Calls that begin and do not end. */
  hold(calls: number): void {
    for (let call = 0; call < calls; call++) this.load.begin(attempt(), 0);
  }
}

function attempt(): LoadedAttempt {
  return { unary: true, beganMs: 0, older: undefined, newer: undefined };
}

/** So many endpoints, each with a name. */
export function endpoints(count: number): TestEndpoint[] {
  return Array.from(
    { length: count },
    (_, index) => new TestEndpoint(`10.0.${index >> 8}.${index & 255}:42001`),
  );
}
