import type { DescService } from "@bufbuild/protobuf";
import type { LimitConfig } from "../../../gen/ts_ms/config/v1/limits_pb.ts";
import type { Config } from "../../core/config/loader/config-types.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { LimitInit, LimitOptions } from "../../core/limits/limit-options.ts";
import { Limiter, type LimitsInit } from "../../core/limits/limiter.ts";
import type { WatchedValue } from "../../core/telemetry/metric-books.ts";
import { redisOf } from "./redis-of.ts";
import type { SectionKit, SectionParts } from "./section.ts";
import { refuseUnknownRpcs } from "./unknown-rpcs.ts";

/** Limits of calls. */
export function open(kit: SectionKit): SectionParts {
  const { config, logger, metrics } = kit;
  let unwatch = (): void => {};
  const redis = config.stores?.redis === undefined ? undefined : redisOf(kit);
  const limiter = explained(kit, () => new Limiter(initOf(config), { redis }));
  let known: readonly DescService[] | undefined;
  const checkNames = (of: Limiter, by: Config, services: readonly DescService[]): void => {
    for (const { limit, selector } of of.unmatched(services)) {
      refuseUnknownRpcs(kit, `limits.${limit}.rpc`, [selector], by);
    }
  };
  return {
    gates: {
      "limits-by-address": [limiter.beforeAuthentication],
      "limits-by-principal": [limiter.behindAuthentication],
    },
    features: ["rate_limiting"],
    limits: limiter,
    check(services) {
      checkNames(limiter, config, services);
      known = services;
      for (const line of limiter.warnings) logger.warn(line);
    },
    start() {
      unwatch = metrics.watch("limitDecisions", () => decisionsOf(limiter));
    },
    stop: () => unwatch(),
    prepare({ next }) {
      const use = explained(kit, () => limiter.prepare(initOf(next)));
      if (known !== undefined) checkNames(new Limiter(initOf(next), { redis }), next, known);
      return use;
    },
    policyOf: (method) => ({ limits: limiter.describe(method).join(", ") }),
  };
}

/** The decisions of every limit, those that it has not made yet among them. */
function* decisionsOf({ decisions }: Limiter): Generator<WatchedValue> {
  for (const { limit, ...outcomes } of decisions) {
    for (const [outcome, value] of Object.entries(outcomes)) yield { labels: { limit, outcome }, value };
  }
}

function initOf({ limits }: Config): LimitsInit {
  return Object.fromEntries(Object.entries(limits).map(([name, limit]) => [name, toInit(limit)]));
}

function toInit(limit: LimitConfig): LimitInit {
  const { rpc, door, key, rate, burst, concurrent, cost, store, batch, onStoreFailure } = limit;
  const { mode, exempt, headers, maxKeys } = limit;
  const init = { rpc, key, rate, burst, concurrent, cost, batch, exempt, maxKeys };
  // The loader has checked the words, and `toLimitOptions` checks them again.
  const words = { door, store, onStoreFailure, mode, headers } as unknown as Pick<LimitOptions, "door">;
  return { ...init, ...words };
}

/** `make`, whose errors name the key of the limit. */
function explained<T>({ mistake }: SectionKit, make: () => T): T {
  try {
    return make();
  } catch (reason) {
    if (!(reason instanceof SetupError)) throw reason;
    const [, name = "", problem = reason.message] = /^limit "([^"]+)": (.*)$/s.exec(reason.message) ?? [];
    throw mistake(name === "" ? "limits" : `limits.${name}`, problem);
  }
}
