import { ConfigError } from "../core/config/loader/config-error.ts";
import type { PlannedServer } from "./app-plan.ts";

/** Addresses that stand for all others. */
const anyHost: ReadonlySet<string> = new Set(["0.0.0.0", "::", ""]);

/**
 * Refuses two servers at one port of one host.
 *
 * @param origins where each key was set
 * @throws ConfigError with a line for each clash
 */
export function checkPorts(servers: readonly PlannedServer[], origins: ReadonlyMap<string, string>): void {
  const places = servers
    .flatMap(({ listens }) => listens ?? [])
    .filter(({ host, port }) => port !== 0 && !/^(?:unix|fd):/.test(host));
  const problems = places.flatMap((place, index) => {
    const other = places
      .slice(0, index)
      .find((before) => before.port === place.port && meet(before.host, place.host));
    if (other === undefined) return [];
    const from = origins.get(place.key) ?? "default";
    const by = origins.get(other.key) ?? "default";
    return [`${from}: ${place.key}: ${place.port} is the port of ${other.key} too (${by})`];
  });
  if (problems.length > 0) throw new ConfigError(problems);
}

function meet(one: string, other: string): boolean {
  return one === other || anyHost.has(one) || anyHost.has(other);
}
