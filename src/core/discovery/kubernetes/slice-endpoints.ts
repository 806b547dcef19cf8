import { formatAddress } from "../../net/listener.ts";
import type { Endpoint } from "../resolver.ts";
import { entriesOf, membersOf, textOf, type Members } from "./members.ts";
import { portsOf } from "./slice-ports.ts";

/** An endpoint of a slice, before it is decided whether it is in. */
interface SliceEndpoint {
  readonly endpoint: Endpoint;
  readonly isReady: boolean;
  /** Whether it ends, but still serves. */
  readonly stillServes: boolean;
  /** The pod or whatever else it is; undefined if that is not known. */
  readonly target: string | undefined;
  readonly isIPv4: boolean;
}

/**
 * The endpoints of a service by all of its EndpointSlices: those that are ready, and only if there is none, those that
 * end but still serve. Of a pod with addresses of both families the one of IPv4 is used.
 *
 * @param port name or number; undefined for the only one
 * @throws ConnectError UNAVAILABLE if the port is not found
 */
export function endpointsOf(
  service: string,
  slices: readonly Members[],
  port: string | number | undefined,
): Endpoint[] {
  const portIn = portsOf(service, slices, port);
  const all = slices.flatMap((slice) => {
    const number = portIn(slice);
    return number === undefined
      ? []
      : entriesOf(slice["endpoints"]).flatMap((entry) => read(entry, slice, number));
  });
  const ready = all.filter(({ isReady }) => isReady);
  const used = ready.length > 0 ? ready : all.filter(({ stillServes }) => stillServes);
  const ofIPv4 = new Set(
    used.flatMap(({ isIPv4, target }) => (isIPv4 && target !== undefined ? [target] : [])),
  );
  const endpoints = new Map<string, Endpoint>();
  for (const { endpoint, isIPv4, target } of used) {
    if (!isIPv4 && target !== undefined && ofIPv4.has(target)) continue;
    // While an endpoint moves between slices it may be in two of them.
    if (!endpoints.has(endpoint.address)) endpoints.set(endpoint.address, endpoint);
  }
  return [...endpoints.values()];
}

function read(entry: Members, slice: Members, port: number): SliceEndpoint[] {
  // Further addresses are of the same endpoint.
  const host = Array.isArray(entry["addresses"]) ? textOf(entry["addresses"][0]) : undefined;
  if (host === undefined) return [];
  const conditions = membersOf(entry["conditions"]);
  const isReady = conditions["ready"] !== false;
  const serves = typeof conditions["serving"] === "boolean" ? conditions["serving"] : isReady;
  const target = membersOf(entry["targetRef"]);
  const name = textOf(target["name"]);
  const zone = textOf(entry["zone"]);
  const node = textOf(entry["nodeName"]);
  const hints = entriesOf(membersOf(entry["hints"])["forZones"]).flatMap(
    (hint) => textOf(hint["name"]) ?? [],
  );
  const endpoint: Endpoint = {
    address: formatAddress({ host, port }),
    ...(zone === undefined ? {} : { zone }),
    ...(hints.length === 0 ? {} : { zoneHints: hints }),
    ...(name === undefined ? {} : { hashKey: name }),
    ...(node === undefined ? {} : { meta: { node } }),
  };
  return [
    {
      endpoint,
      isReady,
      stillServes: conditions["terminating"] === true && serves,
      target: name === undefined ? undefined : `${textOf(target["kind"]) ?? ""}/${name}`,
      isIPv4: slice["addressType"] === "IPv4",
    },
  ];
}
