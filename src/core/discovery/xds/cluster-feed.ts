import type { Endpoint, Resolver, ResolverListener } from "../resolver.ts";

/** The endpoints of one cluster, as the control plane says them. */
export class ClusterFeed implements Resolver {
  readonly name = "xds";
  readonly #listeners = new Set<ResolverListener>();
  readonly #refresh: () => void;
  #endpoints: readonly Endpoint[];

  constructor(endpoints: readonly Endpoint[], refresh: () => void) {
    this.#endpoints = endpoints;
    this.#refresh = refresh;
  }

  watch(listener: ResolverListener, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#listeners.add(listener);
    signal.addEventListener("abort", () => this.#listeners.delete(listener));
    listener.update(this.#endpoints);
  }

  refresh(): void {
    this.#refresh();
  }

  update(endpoints: readonly Endpoint[]): void {
    if (endpoints === this.#endpoints) return;
    this.#endpoints = endpoints;
    for (const listener of [...this.#listeners]) listener.update(endpoints);
  }
}
