import type { DoorName } from "../admission/call-head.ts";
import { checkOptions } from "../config/check-options.ts";
import { SetupError } from "../errors/setup-error.ts";

/** What happens to calls while the store of a limit cannot be reached. */
export type OnStoreFailure = "local" | "allow" | "deny";

/** Which headers say what is left. */
export type LimitHeaders = "draft" | "trio" | "both" | "off";

/** One limit: of calls in a time, of open calls, or of both. */
export interface LimitOptions {
  /** The rpcs it is for, as selectors; none: every rpc but those of health and reflection. Default: none. */
  readonly rpc: readonly string[];
  /** The doors it is for; none: every door. Default: none. */
  readonly door: readonly DoorName[];
  /**
   * What calls are counted by, several together: `ip`, `principal`, `claim:NAME`, `header:NAME`, `rpc`, `route`, `door`,
   * `global`. Required.
   */
  readonly key: readonly string[];
  /** Calls in a time: `100/1m`, `1000/hour`, `5000/day`, `1000000/month`. Default: none. */
  readonly rate: string | undefined;
  /** Makes a token bucket of so many calls of the rate, which fills at the rate. Default: none, windows. */
  readonly burst: number | undefined;
  /** Calls and streams that may be open at once, in this process. Default: none. */
  readonly concurrent: number | undefined;
  /** How much a call takes. Default: the option `(ts_ms.v1.cost)` of its rpc, else 1. */
  readonly cost: number | undefined;
  /** Where `rate` is counted: `local`, in this process, or `redis`, for all replicas together. Default: `local`. */
  readonly store: "local" | "redis";
  /** How much is taken from Redis at a time; more costs less, and may leave a rest unused. Default: 1. */
  readonly batch: number;
  /**
   * While Redis cannot be reached: `local` counts in this process, `allow` lets all pass, `deny` refuses with
   * UNAVAILABLE. Default: `local`.
   */
  readonly onStoreFailure: OnStoreFailure;
  /** `shadow` counts and refuses no call. Default: `enforce`. */
  readonly mode: "enforce" | "shadow";
  /** Callers it is not for: addresses and CIDRs, `principal:PROVIDER/ID`, `role:NAME`. Default: none. */
  readonly exempt: readonly string[];
  /**
   * `draft` is `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11), `trio` is
   * `RateLimit-Limit`, `-Remaining` and `-Reset`. Default: `draft`.
   */
  readonly headers: LimitHeaders;
  /** Keys that are kept in this process; the one unused for the longest time leaves first. Default: 100,000. */
  readonly maxKeys: number;
}

/** A limit as it is written: what is not there has its default. */
export type LimitInit = Partial<LimitOptions> & Pick<LimitOptions, "key">;

/** The defaults of `LimitOptions`; `key` has none. */
export const limitDefaults: Omit<LimitOptions, "key"> = Object.freeze({
  rpc: [],
  door: [],
  rate: undefined,
  burst: undefined,
  concurrent: undefined,
  cost: undefined,
  store: "local",
  batch: 1,
  onStoreFailure: "local",
  mode: "enforce",
  exempt: [],
  headers: "draft",
  maxKeys: 100_000,
});

const words: Readonly<Record<string, readonly string[]>> = {
  store: ["local", "redis"],
  onStoreFailure: ["local", "allow", "deny"],
  mode: ["enforce", "shadow"],
  headers: ["draft", "trio", "both", "off"],
};

/** The options with their defaults. @throws SetupError naming limit, option and cure */
export function toLimitOptions(name: string, init: LimitInit): LimitOptions {
  const owner = `limit ${JSON.stringify(name)}`;
  if (!/^[A-Za-z0-9][\w.-]*$/.test(name)) {
    throw new SetupError(`${owner}: a name has letters, digits, "-", "." and "_"`);
  }
  checkOptions(owner, init, { key: undefined, ...limitDefaults });
  const options = { ...limitDefaults, ...withoutUndefined(init) };
  for (const [option, allowed] of Object.entries(words)) {
    const value = String(options[option as keyof LimitOptions]); // The table has names of options only.
    if (!allowed.includes(value)) {
      throw new SetupError(`${owner}: ${option} must be ${allowed.join(", ")}, not ${JSON.stringify(value)}`);
    }
  }
  for (const option of ["burst", "concurrent", "cost", "batch", "maxKeys"] as const) {
    const value = options[option];
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1)) {
      throw new SetupError(`${owner}: ${option} must be a whole number of at least 1, not ${value}`);
    }
  }
  checkTogether(owner, options);
  return options;
}

function checkTogether(owner: string, options: LimitOptions): void {
  const { key, rate, burst, concurrent, store } = options;
  if (!Array.isArray(key) || key.length === 0) {
    throw new SetupError(`${owner}: key is missing, such as [ip], [principal] or [global]`);
  }
  if (rate === undefined && concurrent === undefined) {
    throw new SetupError(`${owner}: needs rate, such as 100/1m, or concurrent`);
  }
  if (rate === undefined && store === "redis") {
    throw new SetupError(`${owner}: concurrent counts the open calls of one process; leave store out`);
  }
  if (burst !== undefined && (rate === undefined || /\/(?:day|month)$/.test(rate))) {
    throw new SetupError(`${owner}: burst needs a rate whose time is a duration, such as 100/1m`);
  }
}

/** Without members that are undefined, which stand for the default. */
function withoutUndefined<T extends object>(options: T): T {
  // All members that are left are members of T.
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}
