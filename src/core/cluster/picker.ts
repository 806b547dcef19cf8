import type { EndpointLoad } from "./endpoint-load.ts";

/** An endpoint that calls can be sent to. */
export interface Candidate {
  /** Its share of the calls, relative to the others': above 0. */
  readonly weight: number;
  readonly load: EndpointLoad;
}

/** Chooses the endpoint of each attempt. */
export interface Picker<C extends Candidate> {
  /** The endpoints to choose from, from now on. */
  update(candidates: readonly C[], nowMs: number): void;
  /** One of the candidates; undefined without any. */
  pick(nowMs: number): C | undefined;
}

/** The mean weight of `candidates`. */
export function meanWeight(candidates: readonly Candidate[]): number {
  let sum = 0;
  for (const { weight } of candidates) sum += weight;
  return sum / candidates.length;
}
