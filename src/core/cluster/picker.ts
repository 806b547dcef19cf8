import type { EndpointLoad } from "./endpoint-load.ts";

/** An endpoint that calls can be sent to. */
export interface Candidate {
  /** Its share of the calls, relative to the others': above 0. */
  readonly weight: number;
  readonly load: EndpointLoad;
}

/** Chooses the endpoint of each attempt. */
export interface Picker<C extends Candidate> {
  /**
   * The endpoints to choose from, from now on.
   *
   * @param all the candidates, and the endpoints that cannot be called now: where keys belong does not depend on that
   */
  update(candidates: readonly C[], nowMs: number, all: readonly C[]): void;
  /**
   * One of the candidates; undefined without any.
   *
   * @param key hash of what the call belongs to, 32 bits; undefined for nothing
   */
  pick(nowMs: number, key?: number): C | undefined;
}

/** The mean weight of `candidates`. */
export function meanWeight(candidates: readonly Candidate[]): number {
  let sum = 0;
  for (const { weight } of candidates) sum += weight;
  return sum / candidates.length;
}
