import type {
  BalanceConfig,
  ClientKeepaliveConfig,
  ClientTlsConfig,
  ContractConfig,
  EndpointHealthConfig,
  OutlierConfig,
  UpstreamConfig,
} from "../../../gen/ts_ms/config/v1/upstreams_pb.ts";
import type { Config } from "../../core/config/loader/config-types.ts";
import type { DialOptions } from "../../core/dial.ts";
import type { UpstreamContract } from "../../core/discovery/catalog.ts";
import { nearestName } from "../../core/errors/nearest-name.ts";
import type { UpstreamInit } from "../../gateway/upstreams/upstreams-options.ts";
import { readClientTls } from "./client-tls-of.ts";
import { given } from "./given.ts";
import { policyInits } from "./policy-inits.ts";
import type { SectionKit } from "./section.ts";

/**
 * The upstreams of a configuration as `Upstreams` takes them.
 *
 * @throws what `mistake` returns, naming the key that cannot be used
 */
export function upstreamInits(
  { upstreams }: Config,
  mistake: SectionKit["mistake"],
): Readonly<Record<string, UpstreamInit>> {
  const names = Object.keys(upstreams);
  const entries = Object.entries(upstreams).map(([name, config]) => {
    const key = keyOf(name);
    const sameAs = config.contract?.sameAs;
    if (sameAs !== undefined && (sameAs === name || !names.includes(sameAs))) {
      const near = nearestName(sameAs, names);
      const hint = near === undefined ? `there are ${names.join(", ")}` : `did you mean ${near}?`;
      throw mistake(
        `${key}.contract.same_as`,
        `there is no other upstream ${JSON.stringify(sameAs)}; ${hint}`,
      );
    }
    return [name, initOf(config, key, mistake)] as const;
  });
  return Object.fromEntries(entries);
}

/** The key of an upstream. */
export function keyOf(name: string): string {
  return /^[\w-]+$/.test(name) ? `upstreams.${name}` : `upstreams[${JSON.stringify(name)}]`;
}

function initOf(config: UpstreamConfig, key: string, mistake: SectionKit["mistake"]): UpstreamInit {
  if (config.protocol === "rest" && (config.contract === undefined || config.contract.kind !== undefined)) {
    throw mistake(
      `${key}.contract`,
      "is needed with protocol rest, which has no reflection: descriptors, proto or same_as",
    );
  }
  const { target, contract, only, required, zone, subset, stale, serviceConfig, authority } = config;
  const policies = policyInits(config.policies, `${key}.policies`, mistake);
  const { slowStart, connections, retryBudget } = config;
  return {
    target,
    required,
    contractPolicies: config.contractPolicies,
    ...given({
      contract: contract && contractOf(contract, `${key}.contract`, mistake),
      only,
      protocol: config.protocol === "rest" ? "rest" : undefined,
      balance: config.balance && balanceOf(config.balance),
      zone,
      zoneMode: config.zoneMode === "off" ? undefined : (config.zoneMode as DialOptions["zoneMode"]), // Checked.
      subset: subset === 0 ? undefined : subset,
      slowStart: slowStart && {
        windowMs: slowStart.window,
        aggression: slowStart.aggression,
        minWeight: slowStart.minWeight,
      },
      health: config.health && healthOf(config.health),
      outlier: config.outlier && outlierOf(config.outlier),
      connections:
        connections &&
        given({
          max: connections.max,
          maxAgeMs: connections.maxAge,
          idleTimeoutMs: connections.idleTimeout,
          atOnce: connections.atOnce,
        }),
      keepalive: config.keepalive && keepaliveOf(config.keepalive),
      staleMs: stale,
      retryBudget:
        retryBudget &&
        given({ ratio: retryBudget.ratio, reserve: retryBudget.reserve, windowMs: retryBudget.window }),
      policies,
      serviceConfig,
      tls: config.tls && tlsOf(config.tls, `${key}.tls`, mistake),
      authority,
    }),
  };
}

function contractOf(
  { kind, descriptors, proto, paths, sameAs }: ContractConfig,
  key: string,
  mistake: SectionKit["mistake"],
): UpstreamContract {
  const ways: readonly (UpstreamContract | undefined)[] = [
    kind === undefined ? undefined : "reflection",
    descriptors.length === 0 ? undefined : { descriptors },
    proto.length === 0 ? undefined : { proto, ...given({ paths }) },
    sameAs === undefined ? undefined : { sameAs },
  ];
  const [contract, second] = ways.filter((way) => way !== undefined);
  if (contract === undefined || second !== undefined) {
    throw mistake(key, "takes one of reflection, descriptors, proto and same_as");
  }
  return contract;
}

function balanceOf({ policy, header, field, boundedLoad, choices }: BalanceConfig): DialOptions["balance"] {
  const options = given({ header, field, boundedLoad, choices });
  // The loader has checked the word, and `dial` checks what belongs to it.
  return (Object.keys(options).length === 0 ? policy : { policy, ...options }) as DialOptions["balance"];
}

function healthOf(health: EndpointHealthConfig): DialOptions["health"] {
  const { enabled, mode, service, interval, timeout, failures, path } = health;
  if (!enabled) return false;
  const known = mode as "watch"; // The loader has checked the word.
  return { mode: known, intervalMs: interval, timeoutMs: timeout, failures, path, ...given({ service }) };
}

function outlierOf(outlier: OutlierConfig): DialOptions["outlier"] {
  if (!outlier.enabled) return false;
  return given({
    consecutiveFailures: outlier.consecutiveFailures,
    failureRatio: outlier.failureRatio,
    minCalls: outlier.minCalls,
    intervalMs: outlier.interval,
    baseMs: outlier.base,
    maxMs: outlier.max,
    maxEjectionPercent: outlier.maxEjectionPercent,
    returnMs: outlier.return,
  });
}

function keepaliveOf(keepalive: ClientKeepaliveConfig): DialOptions["keepalive"] {
  const { time, timeout, idle, withoutCalls } = keepalive;
  return given({ timeMs: time, timeoutMs: timeout, idleMs: idle, withoutCalls });
}

function tlsOf(tls: ClientTlsConfig, key: string, mistake: SectionKit["mistake"]): DialOptions["tls"] {
  if (!tls.enabled) return false;
  return { ...readClientTls(tls, key, mistake), ...given({ serverName: tls.serverName }) };
}
