import type { UpstreamCounts } from "../http2/http2-counts.ts";
import type { ClusterCall } from "./cluster-call.ts";

/** Calls that wait for an endpoint or for a stream, the oldest first. */
export class WaitingCalls {
  readonly #calls = new Set<ClusterCall>();
  readonly #counts: UpstreamCounts;

  constructor(counts: UpstreamCounts) {
    this.#counts = counts;
  }

  get size(): number {
    return this.#calls.size;
  }

  add(call: ClusterCall): void {
    this.#calls.add(call);
    this.#counts.queued++;
  }

  delete(call: ClusterCall): void {
    if (this.#calls.delete(call)) this.#counts.queued--;
  }

  /** Begins the calls in their order, until one cannot begin. @param begin deletes what it has begun */
  send(begin: (call: ClusterCall) => boolean): void {
    for (const call of this.#calls) if (!begin(call)) return;
  }

  /** Ends the wait of the calls that `isMeant` names. */
  take(isMeant: (call: ClusterCall) => boolean): readonly ClusterCall[] {
    const calls = [...this.#calls].filter(isMeant);
    for (const call of calls) this.delete(call);
    return calls;
  }
}
