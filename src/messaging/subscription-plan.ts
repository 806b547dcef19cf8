import { randomUUID } from "node:crypto";
import { Admission } from "../core/admission/admission.ts";
import { ClientAddresses } from "../core/admission/client-address.ts";
import type { Gate } from "../core/admission/gate.ts";
import { FaultLog } from "../core/call/fault-log.ts";
import type { Invoker } from "../core/call/invoker.ts";
import type { Code } from "../core/errors/errors.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import type { SubscriptionSpec } from "./broker.ts";
import type { Outcome, Ordering } from "./consume-settings.ts";
import type { FateRules } from "./consumed.ts";
import type { ConsumedRpc } from "./contract.ts";
import { MessageCaller } from "./message-call.ts";
import type { MessageMetadata } from "./message-metadata.ts";
import type { MessageServerOptions } from "./message-server-options.ts";
import { RetrySchedule } from "./retry.ts";

/** What the server has for all its subscriptions. */
export interface PlanParts {
  readonly options: MessageServerOptions;
  readonly invoker: Invoker;
  /** Undefined without gates. */
  readonly admission: Admission | undefined;
  readonly metadata: MessageMetadata;
  readonly random: () => number;
}

/** How the messages of an rpc are handled. */
export interface RpcPlan {
  readonly rpc: ConsumedRpc;
  readonly caller: MessageCaller;
  readonly schedule: RetrySchedule;
  /** What contract and server say of codes, in this order. */
  readonly outcomes: readonly ReadonlyMap<Code, Outcome>[];
  readonly timeoutMs: number;
}

/** How one group reads one topic. */
export interface SubscriptionPlan {
  readonly topic: string;
  /** As the contract has it, for metrics. */
  readonly group: string;
  /** As the broker knows it: where every process reads everything, a name of this process alone. */
  readonly ownGroup: string;
  readonly ordering: Ordering;
  readonly rpcs: ReadonlyMap<ConsumedRpc, RpcPlan>;
  readonly rules: FateRules;
  /** How messages are tried again that no rpc takes. */
  readonly schedule: RetrySchedule;
  readonly spec: SubscriptionSpec;
}

/**
 * How the rpcs of one topic and group are served.
 *
 * @throws SetupError naming the subscription and the option that does not fit
 */
export function planOf(rpcs: readonly [ConsumedRpc, ...ConsumedRpc[]], parts: PlanParts): SubscriptionPlan {
  const { options, random } = parts;
  const [{ topic, group }] = rpcs;
  const orderings = new Set(rpcs.map(({ ordering }) => ordering));
  const ordering = orderings.has("partition") ? "partition" : orderings.has("key") ? "key" : "none";
  const ownGroup = options.broadcast ? `${group}.${randomUUID().slice(0, 8)}` : group;
  const plans = new Map(rpcs.map((rpc) => [rpc, rpcPlan(rpc, ownGroup, parts)]));
  const isOfCommands = rpcs.some(({ kind }) => kind === "command");
  const schedule = new RetrySchedule(options.retry, ordering, undefined, random);
  const plan = {
    topic,
    group,
    ownGroup,
    ordering,
    rpcs: plans,
    schedule,
    rules: {
      byType: new Map(rpcs.map((rpc) => [rpc.type, rpc])),
      untyped: rpcs.find(({ name }) => name === options.untyped),
      unknownType: options.unknownType ?? (isOfCommands ? "retry" : "skip"),
      tombstones: options.tombstones,
      maxHeaderBytes: options.maxHeaderBytes,
    },
  } as const;
  const schedules = [schedule, ...[...plans.values()].map((each) => each.schedule)];
  return { ...plan, spec: specOf(plan, schedules, options) };
}

function rpcPlan(rpc: ConsumedRpc, group: string, parts: PlanParts): RpcPlan {
  const { options, invoker, admission, metadata, random } = parts;
  const { maxMessageBytes, framing, identity, broker } = options;
  const registry = rpc.registry ?? options.registry;
  const body = { maxMessageBytes, framing, ...(registry && { json: { registry } }) };
  const common = { invoker, protocolName: broker.system, group, identity, metadata, body };
  const timeoutMs = rpc.timeoutMs ?? options.timeoutMs;
  return {
    rpc,
    caller: new MessageCaller(rpc, common, admission?.of(rpc.method, timeoutMs)),
    schedule: new RetrySchedule(options.retry, rpc.ordering, rpc.attempts, random),
    outcomes: [rpc.outcomes, options.outcomes],
    timeoutMs,
  };
}

function specOf(
  { topic, ownGroup, ordering, rpcs }: Pick<SubscriptionPlan, "topic" | "ownGroup" | "ordering" | "rpcs">,
  schedules: readonly RetrySchedule[],
  options: MessageServerOptions,
): SubscriptionSpec {
  const batches = [...rpcs.keys()].map(({ batch }) => batch?.max ?? 0);
  const delaysMs = new Set(schedules.flatMap(({ queueDelaysMs }) => queueDelaysMs));
  return {
    topic,
    group: ownGroup,
    types: [...rpcs.keys()].map(({ type }) => type),
    ordering,
    prefetch: Math.max(options.prefetch, ...batches),
    maxBufferedBytes: options.maxBufferedBytes,
    maxMessageBytes: options.maxMessageBytes,
    from: options.from,
    declare: options.declare,
    broadcast: options.broadcast,
    retryDelaysMs: [...delaysMs].sort((a, b) => a - b),
    deadLetters: options.deadLetters,
    maxDeliveries: options.crashLimit.deliveries * 2,
  };
}

/**
 * Refuses settings by which messages may be unsettled for longer than the broker allows.
 *
 * @throws SetupError with the numbers
 */
export function checkAckTimeout(
  { topic, ownGroup, spec, rpcs }: SubscriptionPlan,
  options: MessageServerOptions,
): void {
  const { concurrency, ackTimeoutMs, broker } = options;
  if (broker.capabilities.ackTimeout !== true) return;
  const rounds = Math.ceil(spec.prefetch / concurrency);
  for (const { schedule, timeoutMs, rpc } of rpcs.values()) {
    // What is tried without an end is given back in time, between two of its runs.
    const isWhole = schedule.mode === "hold" && !schedule.isEndless;
    const runs = isWhole ? schedule.attempts : 1;
    const heldMs = isWhole ? schedule.longestHeldMs : 0;
    const longestMs = rounds * (runs * timeoutMs + heldMs);
    if (longestMs <= ackTimeoutMs) continue;
    throw new SetupError(
      `MessageServer: a message of ${rpc.name} (${topic}, ${ownGroup}) may be unsettled for ${Math.ceil(longestMs)} ms: ` +
        `${rounds} rounds (prefetch ${spec.prefetch} by concurrency ${concurrency}) of ${runs} runs of ${timeoutMs} ms ` +
        `and ${Math.ceil(heldMs)} ms of pauses; ackTimeoutMs is ${ackTimeoutMs}: ` +
        "lower prefetch, timeout or delays, or let the broker and ackTimeoutMs wait longer",
    );
  }
}

/** What asks the gates of a server; undefined without any. @throws SetupError for a gate that is none */
export function admissionOf(gates: readonly Gate[], options: MessageServerOptions): Admission | undefined {
  if (gates.length === 0) return undefined;
  const addresses = new ClientAddresses([]);
  return new Admission({ gates, observers: options.observers, faults: new FaultLog(options), addresses });
}
