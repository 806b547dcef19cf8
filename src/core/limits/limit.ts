import type { DescMethod } from "@bufbuild/protobuf";
import type { CallHead, DoorName } from "../admission/call-head.ts";
import { SetupError } from "../errors/setup-error.ts";
import { Selector } from "../policy/selector.ts";
import type { CallClock } from "./call-clock.ts";
import { OpenCalls } from "./concurrent.ts";
import { Exempt } from "./exempt.ts";
import { concurrentPolicy, ratePolicy } from "./headers.ts";
import { LimitKey } from "./key.ts";
import { KeyTable } from "./key-table.ts";
import { Leases } from "./leases.ts";
import { toLimitOptions, type LimitInit, type LimitOptions } from "./limit-options.ts";
import { parseRate, type Rate } from "../config/rate-text.ts";
import type { LimitClocks, RateRule } from "./rate-rule.ts";
import { toRule } from "./rules.ts";
import { toStoredRule, type LimitStore, type StoredRule } from "./store.ts";

/** What a limit has decided, as the metric `ts_ms_limit_decisions_total` labels it. */
export interface LimitCounts {
  allowed: number;
  refused: number;
  /** Calls that a limit in shadow mode would have refused. */
  shadow: number;
  /** Calls that were decided without the store, because it could not be reached. */
  degraded: number;
}

/** How a limit by time counts in Redis. */
export interface StoredPart {
  readonly store: LimitStore;
  readonly rule: StoredRule;
  /** What is taken at a time, of limits with a batch. */
  readonly leases: Leases | undefined;
}

/** What limits of both kinds have. */
abstract class AnyLimit {
  readonly name: string;
  readonly options: LimitOptions;
  readonly key: LimitKey;
  readonly counts: LimitCounts = { allowed: 0, refused: 0, shadow: 0, degraded: 0 };
  /** Whether it can only be asked once the caller is known. */
  readonly needsPrincipal: boolean;
  readonly isShadow: boolean;
  /** Its item of `RateLimit-Policy`. */
  abstract readonly policy: string;
  abstract readonly quota: number;
  /** The rpcs that it is for; none: all. */
  readonly selectors: readonly Selector[];
  readonly #doors: ReadonlySet<DoorName> | undefined;
  readonly #exempt: Exempt | undefined;

  constructor(name: string, options: LimitOptions) {
    const { key, rpc, door, exempt, mode } = options;
    this.name = name;
    this.options = options;
    this.key = new LimitKey(key);
    this.isShadow = mode === "shadow";
    this.selectors = rpc.map((text) => new Selector(text));
    this.#doors = door.length === 0 ? undefined : new Set(door);
    this.#exempt = exempt.length === 0 ? undefined : new Exempt(exempt);
    this.needsPrincipal = this.key.needsPrincipal || this.#exempt?.needsPrincipal === true;
  }

  /** Whether it is for calls of an rpc. Those of health and reflection have to be named. */
  concerns(method: DescMethod): boolean {
    if (this.selectors.length > 0) return this.selectors.some((selector) => selector.matches(method));
    return !/^grpc\.(?:health|reflection)\./.test(method.parent.typeName);
  }

  /** Whether it is for a call of an rpc that it concerns. */
  appliesTo(call: CallHead): boolean {
    if (this.#doors !== undefined && !this.#doors.has(call.door)) return false;
    return this.#exempt === undefined || !this.#exempt.has(call);
  }
}

/** A limit of calls in a time. */
export class RateLimit extends AnyLimit {
  readonly kind = "rate";
  readonly rate: Rate;
  readonly policy: string;
  readonly quota: number;
  readonly rule: RateRule;
  /** The counts of this process: all of them, or those without the store. */
  readonly table: KeyTable;
  readonly stored: StoredPart | undefined;

  constructor(name: string, options: LimitOptions, text: string, parts: LimitParts) {
    super(name, options);
    const { burst, batch, maxKeys } = options;
    const { store, clocks } = parts;
    this.rate = parseRate(text);
    this.policy = ratePolicy(name, this.rate);
    this.quota = burst ?? this.rate.count;
    this.rule = toRule(this.rate, burst, parts.callClock);
    this.table = new KeyTable(maxKeys);
    if (options.store === "local") return;
    if (store === undefined) throw new SetupError("store redis needs the URL of Redis: stores.redis.url");
    const rule = toStoredRule(this.rate, burst);
    const leases = batch > 1 ? new Leases(store, rule, batch, maxKeys, clocks.nowMs) : undefined;
    this.stored = { store, rule, leases };
  }

  /** Whether it is a quota, which people think of as lasting. */
  get isQuota(): boolean {
    return "calendar" in this.rate;
  }
}

/** A limit of open calls. */
export class ConcurrentLimit extends AnyLimit {
  readonly kind = "concurrent";
  readonly policy: string;
  readonly quota: number;
  readonly open = new OpenCalls();

  constructor(name: string, options: LimitOptions, concurrent: number) {
    super(name, options);
    this.quota = concurrent;
    this.policy = concurrentPolicy(name, options);
  }
}

/** One limit of either kind. */
export type Limit = RateLimit | ConcurrentLimit;

/** What limits need beside their options. */
export interface LimitParts {
  /** Undefined without Redis. */
  readonly store: LimitStore | undefined;
  readonly clocks: LimitClocks;
  /** The same, for what is asked about one call. */
  readonly callClock: CallClock;
}

/** The limits that one entry makes: one, or one of each kind. @throws SetupError naming limit, option and cure */
export function toLimits(name: string, init: LimitInit, parts: LimitParts): Limit[] {
  const options = toLimitOptions(name, init);
  const { rate, concurrent } = options;
  const limits: Limit[] = [];
  try {
    if (rate !== undefined) limits.push(new RateLimit(name, options, rate, parts));
    if (concurrent !== undefined) limits.push(new ConcurrentLimit(name, options, concurrent));
  } catch (reason) {
    const text = reason instanceof Error ? reason.message : String(reason);
    throw new SetupError(`limit ${JSON.stringify(name)}: ${text}`, { cause: reason });
  }
  return limits;
}
