import type { DialStats } from "../../core/targets/dial-stats.ts";
import type { RefusedService } from "./service-owners.ts";
import type { UpstreamEntry } from "./upstream-entry.ts";

/** Figures of one upstream. */
export interface UpstreamStats {
  readonly name: string;
  /** What it calls, as text. */
  readonly target: string;
  readonly required: boolean;
  /** Whether a catalog has found it. */
  readonly isOfCatalog: boolean;
  /** The state of its connections, as `DialedTransport.state`. */
  readonly state: string;
  /** The services that its contracts have; undefined before they are loaded. */
  readonly services: readonly string[] | undefined;
  /** Why its contracts are not loaded; undefined if they are, or if nothing is known yet. */
  readonly problem: string | undefined;
  /** Figures of its connections; undefined for a transport of another library. */
  readonly dial: DialStats | undefined;
}

/** Figures of `Upstreams`. */
export interface UpstreamsStats {
  readonly upstreams: readonly UpstreamStats[];
  /** The services that are left out, with the reason. */
  readonly refused: readonly RefusedService[];
  /** The upstream of each service, by full names. */
  readonly owners: Readonly<Record<string, string>>;
}

/** The figures of one upstream. */
export function upstreamStats(entry: UpstreamEntry): UpstreamStats {
  const { name, target, parts, isOfCatalog, state, contract, problem, stats } = entry;
  return {
    name,
    target,
    required: parts.required,
    isOfCatalog,
    state,
    services: contract?.services.map(({ typeName }) => typeName),
    problem,
    dial: stats,
  };
}
