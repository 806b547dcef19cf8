import type { Balance, BalancePolicy } from "../cluster/balance.ts";
import type { ZoneMode } from "../cluster/cluster-options.ts";
import type { HealthOptions } from "../cluster/health.ts";
import type { OutlierOptions } from "../cluster/outlier.ts";
import type { SlowStartOptions } from "../cluster/ramp.ts";
import { show } from "../config/check-options.ts";
import { nearestName } from "../errors/nearest-name.ts";
import { SetupError } from "../errors/setup-error.ts";
import { checkGroup, wrongOption, type Allowed } from "./option-groups.ts";
import { programDefaults } from "./program-defaults.ts";

/** Options of `dial` that decide which of several endpoints is called. */
export interface ChoiceOptions {
  /**
   * How the endpoint of each attempt is chosen: `p2c`, by load, lag and failures; `round_robin`, `random`;
   * `least_request`, by load alone; `hash`, by a header or a field of the request, so that equal values go to one endpoint;
   * `pick_first`, the first that can be reached, for all calls. All but `pick_first` honour weights. Default: `p2c`.
   */
  readonly balance: BalancePolicy | Balance;
  /** The zone of this process, such as `eu-1a`. Default: the environment variable `TS_MS_ZONE`, else none. */
  readonly zone: string | undefined;
  /**
   * What the zone decides: `off`, nothing; `prefer`, endpoints of this zone take 1.4 times their available share of the
   * calls, and the others the rest; `hints`, the endpoints whose hints name this zone are used alone. Default: `off`.
   */
  readonly zoneMode: ZoneMode;
  /** How many endpoints are used of each priority, chosen by chance for this process (gRFC A68); 0 for all. Default: 0. */
  readonly subset: number;
  /**
   * The number of this process among those that call the same endpoints, from 0, such as the index of a pod of a StatefulSet:
   * with it the subsets of all of them use every endpoint alike. Default: the environment variable `TS_MS_INSTANCE_INDEX`,
   * else by chance.
   */
  readonly subsetIndex: number | undefined;
  /** How endpoints that are new beside others get their share of the calls. Default: at once, see `SlowStartOptions`. */
  readonly slowStart: Partial<SlowStartOptions>;
  /** Active checks of each endpoint; true is `{}`, with the defaults of `HealthOptions`. Default: false, none. */
  readonly health: boolean | Partial<HealthOptions>;
  /** When endpoints that fail are ejected; false for never. Default: see `OutlierOptions`. */
  readonly outlier: false | Partial<OutlierOptions>;
}

/** The defaults of `ChoiceOptions`. */
export const choiceDefaults: ChoiceOptions = Object.freeze({
  balance: "p2c",
  zone: undefined,
  zoneMode: "off",
  subset: 0,
  subsetIndex: undefined,
  slowStart: Object.freeze({}),
  health: false,
  outlier: Object.freeze({}),
});

/** `ChoiceOptions` as a cluster reads them, but for defaults of groups. */
export interface CheckedChoice {
  readonly balance: Balance;
  readonly zone: string | undefined;
  readonly zoneMode: ZoneMode;
  readonly subset: number;
  readonly subsetIndex: number | undefined;
  readonly slowStart: Partial<SlowStartOptions>;
  /** Undefined for no checks. */
  readonly health: Partial<HealthOptions> | undefined;
  /** Undefined for no ejections. */
  readonly outlier: Partial<OutlierOptions> | undefined;
}

const policies: readonly BalancePolicy[] = [
  "p2c",
  "round_robin",
  "random",
  "least_request",
  "hash",
  "pick_first",
];

/** The options that some policies have beside. */
const policyOptions: Readonly<Partial<Record<BalancePolicy, Readonly<Record<string, Allowed>>>>> = {
  least_request: { choices: { least: 2, most: 10, whole: true } },
  hash: {
    header: {
      text: /^(?!.*-bin$)[!#$%&'*+.^_`|~0-9A-Za-z-]+$/,
      like: "the name of a header with text values",
    },
    field: { text: /^\w+(\.\w+)*$/, like: 'the path of a field, such as "user.id"' },
    boundedLoad: { least: 1 },
  },
};

const zoneModes: readonly ZoneMode[] = ["off", "prefer", "hints"];

/** The longest delay of a timer, in milliseconds. */
const mostMs = 2 ** 31 - 1;

const slowStartRules: Readonly<Record<keyof SlowStartOptions, Allowed>> = {
  windowMs: { least: 0, most: mostMs },
  aggression: { least: 0.1, most: 10 },
  minWeight: { least: 0.001, most: 1 },
};

const outlierRules: Readonly<Record<keyof OutlierOptions, Allowed>> = {
  consecutiveFailures: { least: 1, whole: true },
  failureRatio: { least: 0.01, most: 1 },
  minCalls: { least: 1, whole: true },
  intervalMs: { least: 1, most: mostMs },
  baseMs: { least: 1, most: mostMs },
  maxMs: { least: 1, most: mostMs },
  maxEjectionPercent: { least: 0, most: 100 },
  returnMs: { least: 0, most: mostMs },
};

const healthRules: Readonly<Record<keyof HealthOptions, Allowed>> = {
  mode: { oneOf: ["watch", "check", "http"] },
  service: { text: /^[\w.]*$/, like: "the name of a service, or empty for the whole server" },
  intervalMs: { least: 1, most: mostMs },
  timeoutMs: { least: 1, most: mostMs },
  failures: { least: 1, whole: true },
  path: { text: /^\/[!-~]*$/, like: 'a path such as "/readyz"' },
};

/** Whether one of the options is given. */
export function givesChoice(options: Partial<ChoiceOptions>): boolean {
  return Object.keys(choiceDefaults).some((name) => options[name as keyof ChoiceOptions] !== undefined); // Its keys.
}

/**
 * Checks the options that decide which endpoint is called.
 *
 * @throws SetupError that names the option and what is allowed
 */
export function checkChoice(options: Partial<ChoiceOptions>): CheckedChoice {
  const {
    zone = programDefaults()?.zone ?? process.env["TS_MS_ZONE"],
    zoneMode = choiceDefaults.zoneMode,
    subset = choiceDefaults.subset,
    slowStart = {},
    health = choiceDefaults.health,
    outlier = {},
  } = options;
  const balance = checkBalance(options.balance ?? choiceDefaults.balance);
  if (zone !== undefined && typeof zone !== "string") throw wrongOption("zone", "a text", zone);
  if (!zoneModes.includes(zoneMode))
    throw wrongOption("zoneMode", `one of ${zoneModes.join(", ")}`, zoneMode);
  if (zoneMode !== "off" && (zone === undefined || zone === "")) {
    throw new SetupError(
      `dial: the option zoneMode ${show(zoneMode)} needs the zone of this process: give the option zone, or set TS_MS_ZONE`,
    );
  }
  if (!Number.isInteger(subset) || subset < 0) throw wrongOption("subset", "a whole number from 0", subset);
  const subsetIndex = options.subsetIndex ?? indexOfProcess();
  if (subsetIndex !== undefined && !(Number.isInteger(subsetIndex) && subsetIndex >= 0)) {
    throw wrongOption("subsetIndex", "a whole number from 0", subsetIndex);
  }
  checkGroup("slowStart", slowStart, slowStartRules);
  return {
    balance,
    zone: zone === "" ? undefined : zone,
    zoneMode,
    subset,
    subsetIndex,
    slowStart,
    health: checkHealth(health, balance),
    outlier: checkOutlier(outlier),
  };
}

/** @throws SetupError for an environment variable that is no number */
function indexOfProcess(): number | undefined {
  const text = process.env["TS_MS_INSTANCE_INDEX"];
  if (text === undefined || text === "") return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new SetupError(`TS_MS_INSTANCE_INDEX must be a whole number from 0, not ${show(text)}`);
}

function checkBalance(balance: unknown): Balance {
  const choice = typeof balance === "string" ? { policy: balance } : balance;
  const { policy, ...others } = (choice ?? {}) as Partial<Balance>; // Checked below.
  if (typeof policy !== "string" || !policies.includes(policy)) {
    const near = typeof policy === "string" ? nearestName(policy, policies) : undefined;
    const hint = near === undefined ? "" : `; did you mean ${near}?`;
    throw new SetupError(
      `dial: the option balance must be one of ${policies.join(", ")}, not ${show(balance)}${hint}`,
    );
  }
  const rules = policyOptions[policy] ?? {};
  const unknown = Object.keys(others).find((name) => !Object.hasOwn(rules, name));
  if (unknown !== undefined) throw new SetupError(`dial: the option balance has no ${unknown} for ${policy}`);
  checkGroup("balance", others, rules);
  if (policy === "hash" && (others.header === undefined) === (others.field === undefined)) {
    throw new SetupError(
      `dial: the option balance for hash needs what to hash: header or field, such as { policy: "hash", header: "x-user-id" }`,
    );
  }
  return { policy, ...others };
}

function checkHealth(health: unknown, { policy }: Balance): Partial<HealthOptions> | undefined {
  if (health === false) return undefined;
  if (policy === "pick_first") {
    throw new SetupError(
      "dial: the option health has no effect with balance pick_first, which has one connection",
    );
  }
  if (health === true) return {};
  checkGroup("health", health, healthRules);
  return health as Partial<HealthOptions>; // As it was checked.
}

function checkOutlier(outlier: unknown): Partial<OutlierOptions> | undefined {
  if (outlier === false) return undefined;
  checkGroup("outlier", outlier, outlierRules);
  return outlier as Partial<OutlierOptions>; // As it was checked.
}
