import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { CallHead } from "../admission/call-head.ts";
import type { Gate } from "../admission/gate.ts";
import { nearestName } from "../errors/nearest-name.ts";
import type { Redis } from "../redis/redis.ts";
import { CallClock } from "./call-clock.ts";
import { contractCost } from "./contract-cost.ts";
import { storedKey, type KeySink } from "./key.ts";
import { KeyedHash } from "./keyed-hash.ts";
import { toLimits, type Limit, type LimitCounts, type LimitParts, type RateLimit } from "./limit.ts";
import type { LimitInit } from "./limit-options.ts";
import { limitClocks, type LimitClocks } from "./rate-rule.ts";
import { RpcLimits } from "./rpc-limits.ts";
import { LimitStore } from "./store.ts";

/** Limits by their names. */
export type LimitsInit = Readonly<Record<string, LimitInit>>;

/** What limits need beside their options. */
export interface LimiterParts {
  /** For limits with `store: "redis"`. Default: none. */
  readonly redis?: Redis | undefined;
  /** How much a call of an rpc takes. Default: what its contract says. */
  readonly costOf?: (method: DescMethod) => number;
  /** Default: those of the process. */
  readonly clocks?: LimitClocks;
}

/** What is used of a limit by a key. */
export interface LimitUsage {
  readonly used: number;
  readonly remaining: number;
  /** Time until all of it is there again, in milliseconds; undefined for open calls. */
  readonly resetMs: number | undefined;
}

/** The decisions of a limit since the start. */
export interface LimitDecisions extends Readonly<LimitCounts> {
  readonly limit: string;
}

type Place = "before" | "behind";

interface Plans {
  readonly before: RpcLimits | undefined;
  readonly behind: RpcLimits | undefined;
}

/** The limits of a program. */
export class Limiter {
  /**
   * The gate of limits whose key is known before the caller is, such as those by address. It belongs before the gates of
   * authentication.
   */
  readonly beforeAuthentication: Gate;
  /** The gate of all other limits. It belongs behind the gates of authentication and access. */
  readonly behindAuthentication: Gate;
  readonly #parts: Required<Pick<LimiterParts, "costOf">> & LimitParts;
  readonly #hash = new KeyedHash();
  #init: LimitsInit = {};
  #limits: readonly Limit[] = [];
  #plans = new Map<DescMethod, Plans>();

  /** @throws SetupError naming limit, option and cure */
  constructor(init: LimitsInit, { redis, costOf = contractCost, clocks = limitClocks }: LimiterParts = {}) {
    const callClock = new CallClock(clocks);
    this.#parts = { store: redis && new LimitStore(redis), costOf, clocks, callClock };
    this.beforeAuthentication = this.#gate("limits before authentication", "before");
    this.behindAuthentication = this.#gate("limits", "behind");
    this.replace(init);
  }

  /**
   * Compiles other limits. A limit that has not changed keeps its counts.
   *
   * @returns puts them in place of those there are
   * @throws SetupError as the constructor
   */
  prepare(init: LimitsInit): () => void {
    const kept = Object.entries(init).map(([name, one]) => {
      const before = this.#init[name];
      const isSame = before !== undefined && JSON.stringify(before) === JSON.stringify(one);
      return isSame ? this.#named(name) : toLimits(name, one, this.#parts);
    });
    return () => {
      this.#limits = kept.flat();
      this.#init = init;
      this.#plans = new Map();
    };
  }

  /** `prepare`, put in use at once. @throws SetupError as the constructor; nothing has changed then */
  replace(init: LimitsInit): void {
    this.prepare(init)();
  }

  /**
   * The limit and the selector of each that matches no rpc of these services: it is misspelt, or of no use.
   */
  unmatched(
    services: readonly DescService[],
  ): readonly { readonly limit: string; readonly selector: string }[] {
    return this.#limits.flatMap(({ name, selectors }) =>
      selectors.flatMap((one) => one.unmatched(services)).map((selector) => ({ limit: name, selector })),
    );
  }

  /** Lines for people about limits that do something that may not be meant. */
  get warnings(): readonly string[] {
    return this.#limits.flatMap((limit) => {
      if (limit.kind !== "rate" || !limit.isQuota || limit.stored !== undefined) return [];
      return [
        `limit ${limit.name}: a restart forgets what is used of ${limit.options.rate}; use store: redis`,
      ];
    });
  }

  /** The limits of an rpc, in the order in which they are asked: `per-user (100/1m by principal)`. */
  describe(method: DescMethod): readonly string[] {
    return [...this.#of(method, "before"), ...this.#of(method, "behind")].map(({ name, options, key }) => {
      const { rate, concurrent } = options;
      return `${name} (${rate ?? `${concurrent} open`} by ${key.text})`;
    });
  }

  /** What all limits have decided. */
  get decisions(): readonly LimitDecisions[] {
    return this.#limits.map(({ name, counts }) => ({ limit: name, ...counts }));
  }

  /** Open calls that limits of open calls have counted. */
  get openCalls(): number {
    return this.#limits.reduce((sum, limit) => sum + (limit.kind === "rate" ? 0 : limit.open.size), 0);
  }

  /**
   * What is used of a limit.
   *
   * @param key a text for each part of the limit's key: an address, `PROVIDER/ID` of a principal, the value of a claim …
   * @throws RangeError for a limit that is not there; TypeError for a key of other parts; RedisAway if the store cannot be reached
   */
  async usage(name: string, ...key: readonly string[]): Promise<LimitUsage> {
    const [limit] = this.#existing(name);
    const { high, low } = this.#hashed(limit, key);
    if (limit.kind === "concurrent") {
      const used = limit.open.of(high, low);
      return { used, remaining: Math.max(0, limit.quota - used), resetMs: undefined };
    }
    const { stored, table, rule, quota } = limit;
    if (stored === undefined) {
      const verdict = { allowed: true, remaining: 0, resetMs: 0, retryMs: 0 };
      this.#parts.callClock.next();
      rule.look(table, table.find(high, low), 0, verdict);
      return { used: quota - verdict.remaining, remaining: verdict.remaining, resetMs: verdict.resetMs };
    }
    const request = { key: this.#storedKey(limit, key), rule: stored.rule, least: 0, want: 0, shadow: true };
    const [answer] = await stored.store.take([request]);
    if (answer === undefined) throw new Error("the script of limits has answered nothing");
    const { remaining, resetMs } = answer;
    return { used: quota - remaining, remaining, resetMs };
  }

  /**
   * Forgets what is used of a limit by a key; open calls stay.
   *
   * @throws as `usage`
   */
  async reset(name: string, ...key: readonly string[]): Promise<void> {
    for (const limit of this.#existing(name)) {
      if (limit.kind !== "rate") continue;
      const { high, low } = this.#hashed(limit, key);
      const entry = limit.table.find(high, low);
      if (entry >= 0) {
        limit.table.a[entry] = 0;
        limit.table.b[entry] = 0;
      }
      if (limit.stored === undefined) continue;
      limit.stored.leases?.forget(high, low);
      await limit.stored.store.reset(this.#storedKey(limit, key));
    }
  }

  #named(name: string): Limit[] {
    return this.#limits.filter((limit) => limit.name === name);
  }

  #existing(name: string): [Limit, ...Limit[]] {
    const [first, ...more] = this.#named(name);
    if (first !== undefined) return [first, ...more];
    const near = nearestName(name, Object.keys(this.#init));
    throw new RangeError(
      `there is no limit ${JSON.stringify(name)}${near === undefined ? "" : `; did you mean ${near}?`}`,
    );
  }

  #hashed(limit: Limit, key: readonly string[]): { high: number; low: number } {
    const hash = this.#hash;
    hash.begin();
    limit.key.writeTextsApart(key, hash);
    hash.end();
    return { high: hash.high, low: hash.low };
  }

  #storedKey({ stored, name, key }: RateLimit, texts: readonly string[]): string {
    const hash = storedKey((sink: KeySink) => key.writeTexts(texts, sink));
    return stored?.store.keyOf(name, hash) ?? "";
  }

  #of(method: DescMethod, place: Place): Limit[] {
    return this.#limits.filter(
      (limit) => limit.concerns(method) && limit.needsPrincipal === (place === "behind"),
    );
  }

  #gate(name: string, place: Place): Gate {
    return {
      name,
      countsCalls: true,
      admit: (call: CallHead) =>
        (this.#plans.get(call.method) ?? this.#plan(call.method))[place]?.admit(call),
    };
  }

  #plan(method: DescMethod): Plans {
    const first = this.#of(method, "before");
    const second = this.#of(method, "behind");
    const { costOf, callClock } = this.#parts;
    const cost = costOf(method);
    const parts = { hash: this.#hash, clock: callClock };
    const isSecond = first.length > 0;
    const follows = isSecond && second.length > 0;
    const plans: Plans = {
      before:
        first.length === 0 ? undefined : new RpcLimits(first, cost, parts, { follows, isSecond: false }),
      behind:
        second.length === 0 ? undefined : new RpcLimits(second, cost, parts, { follows: false, isSecond }),
    };
    this.#plans.set(method, plans);
    return plans;
  }
}
