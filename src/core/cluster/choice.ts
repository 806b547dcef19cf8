import { pickerOf } from "./balance.ts";
import type { ClusterOptions } from "./cluster-options.ts";
import type { ClusterEndpoint } from "./endpoint.ts";
import type { Picker } from "./picker.ts";
import { Selection } from "./selection.ts";
import { Spread } from "./spread.ts";

/** The zone whose endpoints are called first; undefined for none. */
export function preferredZone({ zone, zoneMode }: ClusterOptions): string | undefined {
  return zoneMode === "prefer" ? zone : undefined;
}

/** Which of the endpoints that are found are used; undefined for all of them. */
export function selectionOf(
  { subset = 0, subsetIndex, zone, zoneMode }: ClusterOptions,
  random: () => number,
): Selection | undefined {
  const hinted = zoneMode === "hints" ? zone : undefined;
  if (subset === 0 && hinted === undefined) return undefined;
  const seed = Math.floor(random() * 2 ** 32);
  return new Selection({ subset, seed, index: subsetIndex, zone: hinted });
}

/**
 * The choice among endpoints that can be called: by priorities, zones and the policy.
 *
 * @param meanInFlight returns the mean number of calls in flight of them, with the one to be picked
 */
export function choiceOf(
  options: ClusterOptions,
  random: () => number,
  meanInFlight: () => number,
): Picker<ClusterEndpoint> {
  const { balance } = options;
  const make = (): Picker<ClusterEndpoint> => pickerOf(balance, { random, meanInFlight });
  return balance.policy === "pick_first" ? make() : new Spread(make, random, preferredZone(options));
}
