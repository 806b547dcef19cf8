import type { DescMethod } from "@bufbuild/protobuf";
import type { Code } from "../errors/errors.ts";
import { SetupError } from "../errors/setup-error.ts";
import { selectorOf } from "../http-rule/http-rule.ts";
import { idempotencyOf, type Idempotency } from "./idempotency.ts";
import { groupOf, optionalGroups, policyFields } from "./policy-fields.ts";
import type { PolicyLayer, PolicySource } from "./policy-layer.ts";
import type { HedgeDelay, PolicyValue } from "./policy-values.ts";

/** How calls of one rpc on one target are made: the merged policies. Durations are in milliseconds, sizes in bytes. */
export interface MethodPlan {
  readonly method: DescMethod;
  readonly timeoutMs: number | undefined;
  readonly idempotency: Idempotency;
  readonly retry: RetryPlan;
  /** In place of `retry`; undefined for none. */
  readonly hedge: HedgePlan | undefined;
  readonly circuitBreaker: CircuitBreakerPlan | undefined;
  readonly concurrency: ConcurrencyPlan | undefined;
  readonly waitForReady: boolean;
  readonly maxRequestBytes: number | undefined;
  readonly maxResponseBytes: number | undefined;
  /** Each value with its origin. */
  readonly lines: readonly PlanLine[];
}

/** The retries of a plan. */
export interface RetryPlan {
  readonly maxAttempts: number;
  readonly initialBackoffMs: number;
  readonly maxBackoffMs: number;
  readonly backoffMultiplier: number;
  readonly jitter: number;
  readonly codes: readonly Code[];
  readonly attemptTimeoutMs: number | undefined;
  readonly bufferBytes: number;
  /**
   * Whether a call that may have been processed is sent again: the rpc is idempotent, or its codes are set by its name.
   */
  readonly maySendAgain: boolean;
}

/** The hedging of a plan. */
export interface HedgePlan {
  readonly maxAttempts: number;
  readonly delay: HedgeDelay;
  readonly codes: readonly Code[];
  readonly maxExtra: number;
}

/** The circuit breaker of a plan. */
export interface CircuitBreakerPlan {
  readonly mode: "window" | "adaptive";
  readonly failureRatio: number;
  readonly minCalls: number;
  readonly windowMs: number;
  readonly slowCallMs: number | undefined;
  readonly openForMs: number;
  readonly maxOpenForMs: number;
  readonly probes: number;
  readonly probeTimeoutMs: number;
  readonly scope: "target" | "method" | "endpoint" | "endpoint_method";
  readonly codes: readonly Code[];
  readonly k: number;
}

/** The limit of calls under way of a plan. */
export interface ConcurrencyPlan {
  readonly max: number;
  readonly queue: number;
  readonly queueTimeoutMs: number;
  /** Whether the rpcs of the service have this limit together. */
  readonly isShared: boolean;
}

/** One value of a plan. */
export interface PlanLine {
  /** `package.Service.Method`. */
  readonly rpc: string;
  /** The field of `ts_ms.v1.MethodPolicy`, such as `retry.max_attempts`. */
  readonly field: string;
  /** As contracts write it. */
  readonly value: string;
  readonly source: PolicySource;
}

/** A policy, and how exactly it names the rpc. */
export interface AppliedLayer extends PolicyLayer {
  /** `rpc`: it is for this rpc by name; `service`: it is the contract's for a whole service; `many`: a wide selector. */
  readonly reach: "rpc" | "service" | "many";
}

interface Entry {
  readonly value: PolicyValue;
  readonly layer: AppliedLayer;
}

/**
 * Merges policies, each field by itself: a later layer wins over an earlier one, and the first over the defaults.
 *
 * What is for many rpcs at once applies to those for which it means something: timeouts to unary rpcs, hedging to
 * idempotent ones, codes of retries to idempotent ones.
 *
 * @throws SetupError naming rpc, place and field of a policy that this rpc cannot have
 */
export function mergePlan(method: DescMethod, layers: readonly AppliedLayer[]): MethodPlan {
  const merge = new Merge(method, layers);
  return merge.plan();
}

class Merge {
  readonly #method: DescMethod;
  readonly #rpc: string;
  readonly #entries = new Map<string, Entry>();
  readonly #groups = new Map<string, AppliedLayer>();
  readonly #idempotency: Idempotency;

  constructor(method: DescMethod, layers: readonly AppliedLayer[]) {
    this.#method = method;
    this.#rpc = selectorOf(method);
    const named = layers.findLast(({ values }) => values.has("idempotency"))?.values.get("idempotency");
    // The only values that the field may have are those of the type.
    this.#idempotency = (named as Idempotency | undefined) ?? idempotencyOf(method);
    for (const layer of layers) this.#add(layer);
  }

  plan(): MethodPlan {
    const lines = this.#lines();
    const hedge = this.#group("hedge") ? this.#read<HedgePlan>("hedge") : undefined;
    const retry = this.#read<Omit<RetryPlan, "maySendAgain">>("retry");
    const codesReach = this.#entries.get("retry.codes")?.layer.reach;
    return {
      method: this.#method,
      idempotency: this.#idempotency,
      ...this.#read<Pick<MethodPlan, "timeoutMs" | "waitForReady" | "maxRequestBytes" | "maxResponseBytes">>(
        undefined,
      ),
      retry: { ...retry, maySendAgain: this.#isIdempotent || codesReach === "rpc" },
      hedge,
      circuitBreaker: this.#breaker(),
      concurrency: this.#concurrency(),
      lines,
    };
  }

  get #isIdempotent(): boolean {
    return this.#idempotency !== "UNKNOWN";
  }

  #add(layer: AppliedLayer): void {
    const isWide = layer.reach !== "rpc";
    const hasHedge = layer.groups.has("hedge");
    if (hasHedge && !isWide && !this.#isIdempotent) {
      throw this.#error(
        layer,
        "hedge is for rpcs that may be sent twice: set idempotency_level, or idempotency of the policy",
      );
    }
    const skipsHedge = hasHedge && !this.#isIdempotent;
    for (const group of layer.groups) {
      if (group !== "hedge" || !skipsHedge) this.#groups.set(group, layer);
    }
    // The layer that came last decides which of the two there is.
    if (layer.groups.has("retry")) this.#groups.delete("hedge");
    for (const [path, value] of layer.values) {
      if (path === "timeout" && isWide && this.#method.methodKind !== "unary") continue;
      if (skipsHedge && groupOf(path) === "hedge") continue;
      this.#entries.set(path, { value, layer });
    }
  }

  #group(name: string): boolean {
    return this.#groups.has(name);
  }

  /** The values of a group, or those outside of groups, by their names in code. */
  #read<T>(group: string | undefined): T {
    const values: Record<string, PolicyValue | undefined> = {};
    for (const { path, option, default: byDefault } of policyFields) {
      if (groupOf(path) !== group || path === "idempotency") continue;
      values[option === "delayMs" ? "delay" : option] = this.#entries.get(path)?.value ?? byDefault;
    }
    return values as T; // The kinds of the fields are those of the type; the table of all fields is a test.
  }

  #breaker(): CircuitBreakerPlan | undefined {
    const layer = this.#groups.get("circuit_breaker");
    if (layer === undefined) return undefined;
    const plan = this.#read<CircuitBreakerPlan>("circuit_breaker");
    if (plan.maxOpenForMs < plan.openForMs) {
      throw this.#error(layer, "circuit_breaker.max_open_for must be at least open_for");
    }
    return plan;
  }

  #concurrency(): ConcurrencyPlan | undefined {
    const layer = this.#groups.get("concurrency");
    if (layer === undefined) return undefined;
    const max = this.#entries.get("concurrency.max");
    if (max === undefined) throw this.#error(layer, "concurrency.max must be set");
    return {
      ...this.#read<Omit<ConcurrencyPlan, "isShared">>("concurrency"),
      isShared: max.layer.reach === "service",
    };
  }

  #lines(): PlanLine[] {
    const isOff = (group: string | undefined): boolean =>
      optionalGroups.some((name) => name === group && !this.#groups.has(name));
    return policyFields.flatMap(({ path, kind, default: byDefault }) => {
      if (isOff(groupOf(path))) return [];
      const entry = this.#entries.get(path);
      // What the contract says by the rpc itself, without our options.
      const own = path === "idempotency" ? this.#idempotency : undefined;
      const value = entry?.value ?? own ?? byDefault;
      if (value === undefined) return [];
      const source = entry?.layer.source ?? (own === undefined || own === "UNKNOWN" ? "default" : "contract");
      return [{ rpc: this.#rpc, field: path, value: kind.show(value), source }];
    });
  }

  #error(layer: AppliedLayer, problem: string): SetupError {
    const where = layer.place.includes(this.#rpc) ? layer.place : `${layer.place}, for ${this.#rpc}`;
    return new SetupError(`${where}: ${problem}`);
  }
}
