import type {
  ConsumeConfig,
  ConsumedRpcConfig,
  ConsumeIdentityConfig,
  MessagingConfig,
} from "../../../gen/ts_ms/config/v1/messaging_pb.ts";
import type { DescService } from "@bufbuild/protobuf";
import type { Principal } from "../../core/security/principal.ts";
import {
  type ConsumeOverride,
  type Ordering,
  type Outcome,
  outcomesByCode,
} from "../../messaging/consume-settings.ts";
import { consumedRpcs } from "../../messaging/contract.ts";
import type { BodyFraming } from "../../messaging/body-codec.ts";
import type { GivenMessageOptions, MessageServerOptions } from "../../messaging/message-server-options.ts";
import type { RetryOptions } from "../../messaging/retry.ts";
import { given } from "./given.ts";

/** What the section `messaging.consume` says of a `MessageServer`. */
export type ConfiguredConsuming = Partial<Omit<GivenMessageOptions, "broker" | "upstream">>;

/** The options of a section. @throws SetupError for an outcome that there is not */
export function consumeOptions(consume: ConsumeConfig): ConfiguredConsuming {
  const { concurrency, prefetch, retry, breaker, crashLimit, identity, unknownType } = consume;
  return {
    concurrency,
    prefetch: prefetch ?? 2 * concurrency,
    maxBufferedBytes: consume.maxBufferedBytes,
    maxMessageBytes: consume.maxMessageBytes,
    maxHeaderBytes: consume.maxHeaderBytes,
    timeoutMs: consume.timeout,
    ...(retry && {
      retry: {
        delaysMs: retry.delays,
        mode: retry.mode as RetryOptions["mode"], // The keys here take no other words.
        jitter: retry.jitter,
      },
    }),
    outcomes: outcomesByCode("messaging.consume", consume.outcomes as Record<string, Outcome>), // It checks them.
    deadLetters: consume.deadLetters,
    ...(breaker && { breaker: breakerOf(breaker) }),
    unknownType: unknownType as MessageServerOptions["unknownType"],
    untyped: consume.untyped,
    framing: consume.framing as BodyFraming,
    tombstones: consume.tombstones as MessageServerOptions["tombstones"],
    ...(crashLimit && { crashLimit: { deliveries: crashLimit.deliveries, runs: crashLimit.runs } }),
    ackTimeoutMs: consume.ackTimeout,
    from: consume.from as MessageServerOptions["from"],
    declare: consume.declare,
    broadcast: consume.broadcast,
    forwardHeaders: consume.forwardHeaders,
    identity: identity && principalOf(identity),
  };
}

function breakerOf({
  enabled,
  ...breaker
}: NonNullable<ConsumeConfig["breaker"]>): MessageServerOptions["breaker"] {
  if (!enabled) return false;
  const { window, minCalls, failureRatio, openFor, maxOpenFor } = breaker;
  return { windowMs: window, minCalls, failureRatio, openForMs: openFor, maxOpenForMs: maxOpenFor };
}

function principalOf({ id, roles, scopes }: ConsumeIdentityConfig): Principal {
  return {
    ...{ id, provider: "messaging", kind: "custom", issuer: undefined },
    ...{ scopes: new Set(scopes), roles: new Set(roles), claims: {}, expiresAtMs: undefined },
  };
}

/**
 * What is said of the rpcs of a service otherwise than in its contract, by their names: the entries of
 * `messaging.subscriptions`, and the group of events.
 *
 * @throws SetupError naming rpc and file, for what the contract has wrong
 */
export function overridesOf(
  service: DescService,
  { consume, subscriptions }: MessagingConfig,
): Readonly<Record<string, ConsumeOverride>> {
  const prefix = `${service.typeName}/`;
  const overrides: Record<string, ConsumeOverride> = {};
  for (const [rpc, said] of Object.entries(subscriptions)) {
    if (rpc.startsWith(prefix)) overrides[rpc] = overrideOf(said);
  }
  const group = consume?.group;
  if (group === undefined) return overrides;
  for (const { name, kind } of consumedRpcs(service, overrides)) {
    if (kind === "event") overrides[name] = { group, ...overrides[name] };
  }
  return overrides;
}

function overrideOf(said: ConsumedRpcConfig): ConsumeOverride {
  const { topic, group, type, key, oneWay, batch, timeout, attempts } = said;
  const outcomes = said.outcomes as Record<string, Outcome>; // `consumedRpcs` checks them.
  return given({
    ...{ topic, group, type, key, oneWay, attempts },
    ordering: said.ordering as Ordering | undefined, // The keys take no other words.
    batch: batch && given({ max: batch.max, waitMs: batch.wait }),
    timeoutMs: timeout,
    outcomes: Object.keys(outcomes).length === 0 ? undefined : outcomes,
    framing: said.framing as BodyFraming | undefined,
  });
}
