import { isDeepStrictEqual } from "node:util";
import type { Upstreams } from "../../gateway/upstreams/upstreams.ts";
import type { UpstreamsPlan } from "./upstreams-plan.ts";

/**
 * Brings upstreams from one plan to another, which was checked. Calls in flight are completed, and no call finds an
 * upstream missing: those that are new come before the rules that name them, and those that go after these.
 *
 * @returns a promise that resolves as everything is in use
 */
export async function changeUpstreams(
  upstreams: Upstreams,
  before: UpstreamsPlan,
  after: UpstreamsPlan,
): Promise<void> {
  if (!isDeepStrictEqual(before.policies, after.policies)) upstreams.setPolicies(after.policies);
  // An upstream with the contracts of another one comes behind that.
  const inits = Object.entries(after.inits).toSorted((a, b) => rank(a[1]) - rank(b[1]));
  for (const [name, init] of inits) {
    const present = before.inits[name];
    if (present === undefined) upstreams.add(name, init);
    else if (!isDeepStrictEqual(present, init)) upstreams.replace(name, init);
  }
  if (!isDeepStrictEqual(before.traffic, after.traffic)) await upstreams.setTraffic(after.traffic);
  for (const name of Object.keys(before.inits)) if (after.inits[name] === undefined) upstreams.remove(name);
}

function rank({ contract }: { readonly contract?: unknown }): number {
  return typeof contract === "object" && contract !== null && "sameAs" in contract ? 1 : 0;
}
