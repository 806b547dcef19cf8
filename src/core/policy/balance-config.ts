import { SetupError } from "../errors/setup-error.ts";
import type { ConfigObject } from "./config-json.ts";

/** How endpoints are chosen and ejected, in the words of `dial`. Undefined: as without a service config. */
export interface BalanceConfig {
  readonly balance:
    | { readonly policy: "pick_first" | "round_robin" | "random" }
    | { readonly policy: "least_request"; readonly choices: number }
    | { readonly policy: "hash"; readonly header: string };
  /** False for no ejection. */
  readonly outlier?: OutlierConfig | false;
  readonly subset?: number;
}

/** When endpoints are ejected. */
export interface OutlierConfig {
  readonly consecutiveFailures: number;
  readonly failureRatio: number;
  readonly minCalls: number;
  readonly intervalMs: number;
  readonly baseMs: number;
  readonly maxMs: number;
  readonly maxEjectionPercent: number;
}

type Read = (config: ConfigObject) => BalanceConfig;

const readers: Readonly<Record<string, Read>> = {
  pick_first(config) {
    config.flag("shuffleAddressList");
    return { balance: { policy: "pick_first" } };
  },
  round_robin: () => ({ balance: { policy: "round_robin" } }),
  // The weights are those of the endpoints; reports of load (gRFC A51) are not read.
  weighted_round_robin(config) {
    config.flag("enableOobLoadReport");
    for (const name of [
      "oobReportingPeriod",
      "blackoutPeriod",
      "weightExpirationPeriod",
      "weightUpdatePeriod",
    ]) {
      config.durationMs(name);
    }
    config.number("errorUtilizationPenalty");
    return { balance: { policy: "round_robin" } };
  },
  least_request_experimental(config) {
    const choices = config.count("choiceCount") ?? 2;
    if (choices < 2) config.refuse("choiceCount", "at least 2");
    return { balance: { policy: "least_request", choices: Math.min(choices, 10) } };
  },
  ring_hash_experimental(config) {
    const most = 8 * 1024 * 1024;
    const [least, largest] = [config.count("minRingSize") ?? 1_024, config.count("maxRingSize") ?? 4_096];
    if (least < 1 || least > most) config.refuse("minRingSize", `from 1 to ${most}`);
    if (largest < 1 || largest > most) config.refuse("maxRingSize", `from 1 to ${most}`);
    if (largest < least) config.refuse("maxRingSize", "at least minRingSize");
    const header = config.text("requestHashHeader") ?? "";
    if (header === "") return { balance: { policy: "random" } }; // Each call has a hash of its own (gRFC A76).
    if (header.endsWith("-bin")) config.refuse("requestHashHeader", "the name of a header with text values");
    return { balance: { policy: "hash", header } };
  },
  outlier_detection_experimental: (config) => ({ ...childOf(config), outlier: outlierOf(config) }),
  random_subsetting_experimental(config) {
    const subset = config.count("subsetSize") ?? 0;
    if (subset < 1) config.refuse("subsetSize", "at least 1");
    return { ...childOf(config), subset };
  },
};

/** The names of policies that a service config may have. */
export const balanceConfigs: readonly string[] = Object.keys(readers);

/**
 * The first policy of a list that is known here; undefined for an empty list.
 *
 * @throws SetupError if none is known, or the first known one is wrong
 */
export function balanceConfigOf(list: readonly ConfigObject[], place: string): BalanceConfig | undefined {
  for (const entry of list) {
    const [name = "", second] = entry.names;
    if (name === "" || second !== undefined) {
      throw new SetupError(`${entry.place} must have one member, the name of a policy`);
    }
    const read = Object.hasOwn(readers, name) ? readers[name] : undefined;
    if (read === undefined) continue;
    const config = entry.object(name);
    if (config !== undefined) return read(config);
  }
  if (list.length === 0) return undefined;
  throw new SetupError(`${place} has no policy that is known here: these are ${balanceConfigs.join(", ")}`);
}

/** The deprecated `loadBalancingPolicy`, a name alone; unknown ones are an error, as in gRPC. */
export function balanceByName(config: ConfigObject): BalanceConfig | undefined {
  const name = config.text("loadBalancingPolicy")?.toLowerCase();
  if (name === undefined || name === "" || name === "unspecified") return undefined;
  if (name === "pick_first" || name === "round_robin") return { balance: { policy: name } };
  return config.refuse("loadBalancingPolicy", "pick_first or round_robin");
}

function childOf(config: ConfigObject): BalanceConfig {
  const child = balanceConfigOf(config.objects("childPolicy"), `${config.place}.childPolicy`);
  return child ?? config.refuse("childPolicy", "a list of policies");
}

/**
 * Ejection by the share of failures. The one by deviation from the others' success is made the same with its own
 * request volume, since it spares endpoints that are dead among others of mixed success.
 */
function outlierOf(config: ConfigObject): OutlierConfig | false {
  const intervalMs = config.durationMs("interval") ?? 10_000;
  const baseMs = config.durationMs("baseEjectionTime") ?? 30_000;
  const maxMs = config.durationMs("maxEjectionTime") ?? Math.max(300_000, baseMs);
  const maxEjectionPercent = percentOf(config, "maxEjectionPercent", 10);
  const success = config.object("successRateEjection");
  const failure = config.object("failurePercentageEjection");
  for (const rules of [success, failure]) {
    if (rules === undefined) continue;
    percentOf(rules, "enforcementPercentage", 100);
    rules.count("minimumHosts");
  }
  success?.count("stdevFactor");
  if (intervalMs === 0) config.refuse("interval", "above 0s");
  if (baseMs === 0) config.refuse("baseEjectionTime", "above 0s");
  if (maxMs === 0) config.refuse("maxEjectionTime", "above 0s");
  const isEnforced = (rules: ConfigObject | undefined): boolean =>
    rules !== undefined && percentOf(rules, "enforcementPercentage", 100) > 0;
  const rules = isEnforced(failure) ? failure : isEnforced(success) ? success : undefined;
  if (rules === undefined) return false;
  const threshold = rules === failure ? percentOf(rules, "threshold", 85) : 85;
  return {
    consecutiveFailures: Number.MAX_SAFE_INTEGER, // gRPC has no such rule.
    failureRatio: Math.max(threshold / 100, 0.01),
    minCalls: Math.max(rules.count("requestVolume") ?? (rules === failure ? 50 : 100), 1),
    intervalMs,
    baseMs,
    maxMs: Math.max(maxMs, baseMs),
    maxEjectionPercent,
  };
}

function percentOf(config: ConfigObject, name: string, byDefault: number): number {
  const percent = config.count(name) ?? byDefault;
  return percent <= 100 ? percent : config.refuse(name, "from 0 to 100");
}
