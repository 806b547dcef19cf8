import type { AdsClient } from "./ads-client.ts";
import type { XdsCluster } from "./cluster-resource.ts";
import type { XdsEndpoints } from "./endpoint-resource.ts";
import type { XdsListener } from "./listener-resource.ts";
import type { Known, ResourceCache } from "./resource-cache.ts";
import { hostFor, type XdsHost } from "./route-resource.ts";

/** A cluster of a target with its endpoints, or why it cannot be called. */
export type ViewedCluster =
  | { readonly kind: "there"; readonly cluster: XdsCluster; readonly endpoints: XdsEndpoints }
  | { readonly kind: "missing"; readonly problem: string };

/** All that the control plane says of a target. */
export interface XdsSnapshot {
  readonly listener: XdsListener;
  readonly host: XdsHost;
  /** All clusters of the routes, by their names. */
  readonly clusters: ReadonlyMap<string, ViewedCluster>;
}

/** What is known of a target. */
export type XdsState =
  | { readonly kind: "waiting" }
  | { readonly kind: "failed"; readonly problem: string }
  | ({ readonly kind: "ready" } & XdsSnapshot);

const waiting: XdsState = { kind: "waiting" };

/**
 * The resources of one target: its listener, the routes that this names, the clusters that these name, and their
 * endpoints. What a change no longer needs is used until all that it needs is there.
 */
export class XdsView {
  readonly #client: AdsClient;
  readonly #listenerName: string;
  /** What hosts of routes are searched for. */
  readonly #name: string;
  readonly #onChange: (state: XdsState) => void;
  readonly #used = new Map<ResourceCache<unknown>, Set<string>>();
  #isDue = false;
  #isClosed = false;
  readonly #changed = (): void => {
    if (this.#isDue) return;
    this.#isDue = true;
    // The resources of one response are one change.
    queueMicrotask(() => {
      this.#isDue = false;
      if (!this.#isClosed) this.#update();
    });
  };

  /** @param onChange gets every state but `waiting`, which keeps the one before it */
  constructor(client: AdsClient, listenerName: string, name: string, onChange: (state: XdsState) => void) {
    this.#client = client;
    this.#listenerName = listenerName;
    this.#name = name;
    this.#onChange = onChange;
    this.#changed();
  }

  close(): void {
    this.#isClosed = true;
    for (const [cache, names] of this.#used) {
      for (const name of names) this.#client.leave(cache, name, this.#changed);
    }
    this.#used.clear();
  }

  #update(): void {
    const needed = new Map<ResourceCache<unknown>, Set<string>>();
    const state = this.#look(needed);
    if (state.kind === "waiting") return;
    for (const [cache, names] of this.#used) {
      for (const name of names) {
        if (needed.get(cache)?.has(name) === true) continue;
        names.delete(name);
        this.#client.leave(cache, name, this.#changed);
      }
    }
    this.#onChange(state);
  }

  #look(needed: Map<ResourceCache<unknown>, Set<string>>): XdsState {
    const { listeners, routes: routeCache } = this.#client;
    const need = <T>(cache: ResourceCache<T>, name: string): Known<T> => {
      add(needed, cache, name);
      if (add(this.#used, cache, name)) this.#client.use(cache, name, this.#changed);
      return cache.known(name);
    };
    const known = need(listeners, this.#listenerName);
    if (known.kind !== "there") return without(known, `listener ${this.#listenerName}`);
    const listener = known.value;
    let { routes } = listener;
    if (typeof routes === "string") {
      const named = need(routeCache, routes);
      if (named.kind !== "there") return without(named, `route configuration ${routes}`);
      routes = named.value;
    }
    const host = hostFor(routes, this.#name);
    if (host === undefined) return { kind: "failed", problem: `no virtual host is for ${this.#name}` };
    const clusters = new Map<string, ViewedCluster>();
    let isWaiting = false;
    for (const name of clustersOf(host)) {
      const viewed = this.#lookAtCluster(name, need);
      if (viewed === undefined) isWaiting = true;
      else clusters.set(name, viewed);
    }
    return isWaiting ? waiting : { kind: "ready", listener, host, clusters };
  }

  #lookAtCluster(
    name: string,
    need: <T>(cache: ResourceCache<T>, name: string) => Known<T>,
  ): ViewedCluster | undefined {
    const { clusters, endpoints } = this.#client;
    const cluster = need(clusters, name);
    if (cluster.kind !== "there") return missing(cluster, `cluster ${name}`);
    const assignment = need(endpoints, cluster.value.edsName);
    if (assignment.kind !== "there")
      return missing(assignment, `assignment of endpoints ${cluster.value.edsName}`);
    return { kind: "there", cluster: cluster.value, endpoints: assignment.value };
  }
}

/** The names of all clusters of some routes. */
function clustersOf({ routes }: XdsHost): Set<string> {
  return new Set(routes.flatMap(({ action }) => (action?.clusters ?? []).map(({ cluster }) => cluster)));
}

function without(known: Exclude<Known<unknown>, { kind: "there" }>, what: string): XdsState {
  const problem = problemOf(known, what);
  return problem === undefined ? waiting : { kind: "failed", problem };
}

function missing(known: Exclude<Known<unknown>, { kind: "there" }>, what: string): ViewedCluster | undefined {
  const problem = problemOf(known, what);
  return problem === undefined ? undefined : { kind: "missing", problem };
}

function problemOf(known: Exclude<Known<unknown>, { kind: "there" }>, what: string): string | undefined {
  if (known.kind === "waiting") return undefined;
  return known.kind === "not there" ? `there is no ${what}` : known.problem;
}

/** @returns whether the name was not there before */
function add<T>(
  sets: Map<ResourceCache<unknown>, Set<string>>,
  cache: ResourceCache<T>,
  name: string,
): boolean {
  const key = cache as ResourceCache<unknown>; // A key only.
  const names = sets.get(key);
  if (names === undefined) sets.set(key, new Set([name]));
  else if (names.has(name)) return false;
  else names.add(name);
  return true;
}
