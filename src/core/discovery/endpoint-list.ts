import type { Endpoint } from "./resolver.ts";

/** An endpoint with its defaults. */
export interface KnownEndpoint extends Endpoint {
  readonly weight: number;
  readonly priority: number;
  readonly hashKey: string;
}

/** Endpoints by their addresses, in the order of the list. */
export type EndpointSet = ReadonlyMap<string, KnownEndpoint>;

/** How one list of endpoints differs from the one before it. */
export interface EndpointChange {
  readonly endpoints: EndpointSet;
  /** Those with new addresses. */
  readonly added: readonly KnownEndpoint[];
  /** Those whose addresses are gone. */
  readonly removed: readonly KnownEndpoint[];
  /** Those with other weights, zones, priorities, keys or data than before. */
  readonly changed: readonly KnownEndpoint[];
}

/**
 * Compares a list with the set before it, by address. Of several endpoints with one address the heaviest stays.
 *
 * @returns undefined if nothing has changed; the order of a list does not count
 */
export function compareEndpoints(before: EndpointSet, list: readonly Endpoint[]): EndpointChange | undefined {
  const endpoints = new Map<string, KnownEndpoint>();
  for (const endpoint of list) {
    const known = withDefaults(endpoint);
    const twin = endpoints.get(known.address);
    if (twin === undefined || known.weight > twin.weight) endpoints.set(known.address, known);
  }
  const added: KnownEndpoint[] = [];
  const changed: KnownEndpoint[] = [];
  for (const endpoint of endpoints.values()) {
    const old = before.get(endpoint.address);
    if (old === undefined) added.push(endpoint);
    else if (!isSame(old, endpoint)) changed.push(endpoint);
    else endpoints.set(endpoint.address, old);
  }
  const removed = [...before.values()].filter(({ address }) => !endpoints.has(address));
  if (added.length + removed.length + changed.length === 0) return undefined;
  return { endpoints, added, removed, changed };
}

function withDefaults(endpoint: Endpoint): KnownEndpoint {
  const { address, weight = 1, priority = 0, hashKey = address } = endpoint;
  return { ...endpoint, weight: weight >= 0 && weight < Infinity ? weight : 1, priority, hashKey };
}

function isSame(one: KnownEndpoint, other: KnownEndpoint): boolean {
  return (
    one.weight === other.weight &&
    one.zone === other.zone &&
    one.zoneHints?.join() === other.zoneHints?.join() &&
    one.priority === other.priority &&
    one.hashKey === other.hashKey &&
    isSameMeta(one.meta, other.meta)
  );
}

function isSameMeta(one: Endpoint["meta"] = {}, other: Endpoint["meta"] = {}): boolean {
  if (one === other) return true;
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => one[key] === other[key]);
}
