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
    const { address } = endpoint;
    const old = before.get(address);
    const known = old !== undefined && isSame(old, endpoint) ? old : withDefaults(endpoint);
    const twin = endpoints.get(address);
    if (twin === undefined || known.weight > twin.weight) endpoints.set(address, known);
  }
  const added: KnownEndpoint[] = [];
  const changed: KnownEndpoint[] = [];
  for (const endpoint of endpoints.values()) {
    const old = before.get(endpoint.address);
    if (old === undefined) added.push(endpoint);
    else if (old !== endpoint) changed.push(endpoint);
  }
  const removed: KnownEndpoint[] = [];
  if (endpoints.size - added.length < before.size) {
    for (const old of before.values()) if (!endpoints.has(old.address)) removed.push(old);
  }
  if (added.length + removed.length + changed.length === 0) return undefined;
  return { endpoints, added, removed, changed };
}

/** Without a spread, and with few shapes: there may be tens of thousands of endpoints. */
function withDefaults(endpoint: Endpoint): KnownEndpoint {
  const { address, zone, priority = 0, hashKey = address, zoneHints, meta } = endpoint;
  const weight = weightOf(endpoint);
  if (zone === undefined && zoneHints === undefined && meta === undefined) {
    return { address, weight, priority, hashKey };
  }
  return {
    address,
    weight,
    priority,
    hashKey,
    ...(zone === undefined ? {} : { zone }),
    ...(zoneHints === undefined ? {} : { zoneHints }),
    ...(meta === undefined ? {} : { meta }),
  };
}

function weightOf({ weight = 1 }: Endpoint): number {
  return weight >= 0 && weight < Infinity ? weight : 1;
}

function isSame(known: KnownEndpoint, endpoint: Endpoint): boolean {
  const { zone, priority = 0, hashKey = endpoint.address, zoneHints, meta } = endpoint;
  return (
    known.weight === weightOf(endpoint) &&
    known.zone === zone &&
    known.priority === priority &&
    known.hashKey === hashKey &&
    isSameList(known.zoneHints, zoneHints) &&
    isSameMeta(known.meta, meta)
  );
}

function isSameList(one: readonly string[] = [], other: readonly string[] = []): boolean {
  return (
    one === other || (one.length === other.length && one.every((value, index) => value === other[index]))
  );
}

function isSameMeta(one: Endpoint["meta"] = {}, other: Endpoint["meta"] = {}): boolean {
  if (one === other) return true;
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => one[key] === other[key]);
}
