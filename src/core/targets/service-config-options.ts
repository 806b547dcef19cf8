import type { OutlierOptions } from "../cluster/outlier.ts";
import type { PoolOptions } from "../cluster/connection-pool.ts";
import { SetupError } from "../errors/setup-error.ts";
import { readServiceConfig, type RetryThrottling, type ServiceConfig } from "../policy/service-config.ts";
import type { ChoiceOptions } from "./choice-options.ts";

/** Options that a service config stands for. */
type Stated = Partial<Pick<ChoiceOptions, "balance" | "health" | "outlier" | "subset">> & {
  readonly connections?: Partial<PoolOptions>;
};

/** A service config in the words of `dial`. */
export interface ConfiguredService {
  /** Layers between contract and policies. Undefined without a service config. */
  readonly between: ServiceConfig["between"] | undefined;
  readonly retryTokens: RetryThrottling | undefined;
}

/**
 * `options`, completed by what a service config says and they do not.
 *
 * @throws SetupError naming the member that is wrong
 */
export function withServiceConfig<O extends Stated>(
  options: O,
  serviceConfig: object | string | undefined,
): readonly [options: O, service: ConfiguredService] {
  if (serviceConfig === undefined) return [options, { between: undefined, retryTokens: undefined }];
  const config = read(serviceConfig);
  const { balancing, healthService, maxConnections, between, retryThrottling } = config;
  const stated: Stated = {
    ...(balancing && { balance: balancing.balance }),
    ...(balancing?.outlier !== undefined && {
      outlier: balancing.outlier satisfies false | Partial<OutlierOptions>,
    }),
    ...(balancing?.subset !== undefined && { subset: balancing.subset }),
    // As in gRPC, pick_first makes no health checks.
    ...(healthService !== undefined &&
      policyOf(options.balance ?? balancing?.balance) !== "pick_first" && {
        health: { mode: "watch", service: healthService },
      }),
    ...(maxConnections !== undefined && { connections: { max: maxConnections, ...options.connections } }),
  };
  const given = Object.fromEntries(
    Object.entries(options).filter(([name, value]) => value !== undefined && name !== "connections"),
  );
  return [
    { ...options, ...stated, ...given },
    { between, retryTokens: retryThrottling },
  ];
}

function read(serviceConfig: object | string): ServiceConfig {
  try {
    return readServiceConfig(serviceConfig);
  } catch (error) {
    throw error instanceof SetupError ? new SetupError(`dial: ${error.message}`) : error;
  }
}

function policyOf(balance: ChoiceOptions["balance"] | undefined): string | undefined {
  return typeof balance === "object" ? balance.policy : balance;
}
