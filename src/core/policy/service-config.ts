import type { DescMethod } from "@bufbuild/protobuf";
import { SetupError } from "../errors/setup-error.ts";
import { balanceByName, balanceConfigOf, type BalanceConfig } from "./balance-config.ts";
import { ConfigObject } from "./config-json.ts";
import type { AppliedLayer } from "./plan.ts";
import type { PolicyValue } from "./policy-values.ts";

/** The count of tokens that gRPC limits retries by, in place of a budget. */
export interface RetryThrottling {
  readonly maxTokens: number;
  readonly tokenRatio: number;
}

/** A service config of gRPC, read. */
export interface ServiceConfig {
  /** Its layers of the plan of an rpc: none, or that of the most specific entry. */
  readonly between: (method: DescMethod) => readonly AppliedLayer[];
  /** Undefined where it says nothing of balancing. */
  readonly balancing: BalanceConfig | undefined;
  readonly retryThrottling: RetryThrottling | undefined;
  /** The service whose health is watched; undefined for no health checks. */
  readonly healthService: string | undefined;
  /** Most connections to each endpoint. */
  readonly maxConnections: number | undefined;
}

/** More attempts than these count as these (gRFC A6). */
const mostAttempts = 5;

/** More connections than these count as these (gRFC A105). */
const mostConnections = 10;

/**
 * Reads a service config as gRPC does (service_config.proto; gRFCs A2, A6, A17, A50, A58, A61, A68, A76, A105): unknown
 * members are ignored, wrong ones are errors.
 *
 * @param config an object, or its JSON text
 * @throws SetupError naming the member and what is allowed
 */
export function readServiceConfig(config: unknown): ServiceConfig {
  const root = new ConfigObject(typeof config === "string" ? parse(config) : config, "serviceConfig");
  const byName = new Map<string, AppliedLayer>();
  for (const entry of root.objects("methodConfig")) readMethodConfig(entry, byName);
  const listed = balanceConfigOf(root.objects("loadBalancingConfig"), "serviceConfig.loadBalancingConfig");
  return {
    between({ parent, name }) {
      const service = parent.typeName;
      const layer = byName.get(`${service}/${name}`) ?? byName.get(`${service}/`) ?? byName.get("/");
      return layer === undefined ? [] : [layer];
    },
    balancing: listed ?? balanceByName(root),
    retryThrottling: readThrottling(root.object("retryThrottling")),
    healthService: root.object("healthCheckConfig")?.text("serviceName"),
    maxConnections: readScaling(root.object("connectionScaling")),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new SetupError(
      `serviceConfig is no JSON: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

function readMethodConfig(entry: ConfigObject, byName: Map<string, AppliedLayer>): void {
  const layer = layerOf(entry);
  for (const name of entry.objects("name")) {
    const [service = "", method = ""] = [name.text("service"), name.text("method")];
    if (service === "" && method !== "") name.refuse("service", `given with the method ${method}`);
    const key = `${service}/${method}`;
    if (byName.has(key)) throw new SetupError(`${name.place}: ${key} has an entry already`);
    byName.set(key, layer);
  }
}

function layerOf(entry: ConfigObject): AppliedLayer {
  const values = new Map<string, PolicyValue>();
  const groups = new Set<string>();
  const set = (path: string, value: PolicyValue | undefined): void => {
    if (value !== undefined) values.set(path, value);
  };
  set("wait_for_ready", entry.flag("waitForReady"));
  set("timeout", above0(entry, "timeout"));
  set("max_request_bytes", entry.count("maxRequestMessageBytes"));
  set("max_response_bytes", entry.count("maxResponseMessageBytes"));
  const retry = entry.object("retryPolicy");
  const hedge = entry.object("hedgingPolicy");
  if (retry !== undefined && hedge !== undefined) {
    throw new SetupError(`${entry.place} has retryPolicy and hedgingPolicy: only one of them may be set`);
  }
  if (retry !== undefined) {
    groups.add("retry");
    set("retry.max_attempts", attemptsOf(retry));
    set("retry.initial_backoff", required(retry, "initialBackoff"));
    set("retry.max_backoff", required(retry, "maxBackoff"));
    const multiplier = retry.number("backoffMultiplier") ?? 0;
    if (multiplier <= 0) retry.refuse("backoffMultiplier", "a number above 0");
    set("retry.backoff_multiplier", multiplier);
    set("retry.attempt_timeout", above0(retry, "perAttemptRecvTimeout"));
    const codes = retry.codes("retryableStatusCodes");
    if (codes.length === 0 && !retry.has("perAttemptRecvTimeout")) {
      retry.refuse("retryableStatusCodes", "a list of codes with one at least");
    }
    set("retry.codes", codes);
  }
  if (hedge !== undefined) {
    const attempts = attemptsOf(hedge);
    groups.add("hedge");
    set("hedge.max_attempts", attempts);
    set("hedge.delay", { ms: hedge.durationMs("hedgingDelay") ?? 0 });
    set("hedge.codes", hedge.codes("nonFatalStatusCodes"));
    set("hedge.max_extra", attempts - 1); // gRPC limits them by throttling alone.
    set("idempotency", "IDEMPOTENT"); // Only such rpcs should have this policy, it says.
  }
  // gRPC applies an entry to all rpcs that it is for, streams and rpcs with side effects too: as if each was named.
  return { source: "service config", place: entry.place, values, groups, reach: "rpc" };
}

function attemptsOf(policy: ConfigObject): number {
  const attempts = policy.count("maxAttempts") ?? 0;
  if (attempts < 2) policy.refuse("maxAttempts", "a whole number from 2");
  return Math.min(attempts, mostAttempts);
}

function above0(config: ConfigObject, name: string): number | undefined {
  const ms = config.durationMs(name);
  return ms === 0 ? config.refuse(name, "above 0s") : ms;
}

function required(config: ConfigObject, name: string): number {
  return above0(config, name) ?? config.refuse(name, 'seconds such as "0.1s"');
}

function readThrottling(config: ConfigObject | undefined): RetryThrottling | undefined {
  if (config === undefined) return undefined;
  const maxTokens = config.count("maxTokens") ?? 0;
  if (maxTokens < 1 || maxTokens > 1_000) config.refuse("maxTokens", "a whole number from 1 to 1000");
  // Beyond three places after the point the number is cut (gRFC A6).
  const tokenRatio = Math.floor((config.number("tokenRatio") ?? 0) * 1_000 + 1e-6) / 1_000;
  if (tokenRatio <= 0) config.refuse("tokenRatio", "a number above 0");
  return { maxTokens, tokenRatio };
}

function readScaling(config: ConfigObject | undefined): number | undefined {
  const most = config?.count("maxConnectionsPerSubchannel");
  return most === undefined ? undefined : Math.min(Math.max(most, 1), mostConnections);
}
