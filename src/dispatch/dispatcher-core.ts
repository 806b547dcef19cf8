import { createRegistry, type Registry } from "@bufbuild/protobuf";
import type { LookupFunction } from "node:net";
import { SubscriptionDisabledSchema } from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import type { StoredSubscription } from "../../gen/ts_ms/dispatch/v1/task_pb.ts";
import { ConnectError, Code } from "../core/errors/errors.ts";
import { newRequestId } from "../core/metadata/request-id.ts";
import { type Clock, systemClock } from "../core/time/clock.ts";
import { Moves } from "../messaging/moves.ts";
import { createPublisher, type Publisher } from "../messaging/publisher.ts";
import { checkSubscription, type CheckParts, targetOf, webhookScheduleOf } from "./check-subscription.ts";
import { Deliveries } from "./deliveries.ts";
import { DeliverySlots } from "./delivery-slots.ts";
import { DispatchCounts } from "./dispatch-counts.ts";
import { DispatchLog } from "./dispatch-log.ts";
import type { DispatchOptions } from "./dispatch-options.ts";
import type { DispatchStore } from "./dispatch-store.ts";
import { type EventTypes, eventTypesOf } from "./event-types.ts";
import { FanOut } from "./fan-out.ts";
import type { CheckedSubscription, LiveSubscription } from "./live-subscription.ts";
import { LiveSubscriptions } from "./live-subscriptions.ts";
import { PublicAddresses } from "./public-address.ts";
import { RpcConnections } from "./rpc-target.ts";
import { SecretBox } from "./secret-box.ts";
import { SqlDispatchStore } from "./sql-dispatch-store.ts";
import { SubscriptionStates } from "./subscription-states.ts";
import { TaskFlow } from "./task-flow.ts";
import { TaskQueue } from "./task-queue.ts";
import { WebhookClient } from "./webhook-request.ts";

/** What only the library and its tests set. */
export interface DispatcherParts {
  readonly clock?: Clock;
  /** Milliseconds since 1970. */
  readonly wallMs?: () => number;
  /** Returns numbers from 0 to 1. */
  readonly random?: () => number;
  /** Looks names of webhooks up. */
  readonly resolve?: LookupFunction;
}

/** What a dispatcher is made of, as its services and servers use it. */
export interface DispatcherCore {
  readonly types: EventTypes;
  readonly registry: Registry;
  readonly store: DispatchStore | undefined;
  readonly box: SecretBox;
  readonly live: LiveSubscriptions;
  readonly states: SubscriptionStates;
  readonly publisher: Publisher;
  readonly tasks: TaskQueue;
  readonly fanOut: FanOut;
  readonly flow: TaskFlow;
  readonly counts: DispatchCounts;
  readonly log: DispatchLog;
  readonly webhooks: WebhookClient;
  readonly parts: { readonly clock: Clock; readonly wallMs: () => number; readonly random: () => number };
  /** Checks a subscription. @throws ConnectError INVALID_ARGUMENT naming what cannot be used */
  check(stored: StoredSubscription): Promise<CheckedSubscription>;
  /** Lets go of connections. */
  close(): void;
}

/**
 * Puts the parts of a dispatcher together.
 *
 * @param changed is called with subscriptions that are new, changed or no more
 * @throws SetupError naming the option that cannot be used
 */
export function dispatcherCore(
  options: DispatchOptions,
  { clock = systemClock, wallMs = Date.now, random = Math.random, resolve }: DispatcherParts,
  changed: (before: LiveSubscription | undefined, after: LiveSubscription | undefined) => void,
): DispatcherCore {
  const { broker, group, logDeliveries, maxFanOut, maxHops, retentionMs } = options;
  const parts = { clock, wallMs, random };
  const registry = createRegistry(options.registry, SubscriptionDisabledSchema);
  const types = eventTypesOf(registry);
  const store = storeOf(options);
  const log = new DispatchLog(options);
  const counts = new DispatchCounts();
  const publisher = createPublisher(broker, { source: `/${group}` }, { clock, wallMs });
  const checking = checkParts(options, { types, registry, store, wallMs, resolve });
  const check = (stored: StoredSubscription): Promise<CheckedSubscription> => {
    if (stored.subscription !== undefined) return checkSubscription(stored.subscription, stored, checking);
    throw new ConnectError("subscription: must be set", Code.InvalidArgument);
  };
  const sweep = async (): Promise<void> => store?.sweep(wallMs() - retentionMs);
  const live: LiveSubscriptions = new LiveSubscriptions({
    ...{ store, check, clock, log, sweep, changed },
    open: (stored) => targetOf(stored, checking),
  });
  const states = new SubscriptionStates({
    live: () => live,
    publisher,
    log,
    wallMs,
    disableAfterMs: options.webhooks.disableAfterMs,
  });
  const failing = (_: unknown, error: unknown): void => log.taskStays(error);
  const moves = new Moves({ broker, clock, random, failing });
  const tasks = new TaskQueue({ broker, moves, group, wallMs, newId: newRequestId });
  const deliveries = new Deliveries({
    ...{ clock, wallMs, counts, log, store, keeps: logDeliveries },
    slots: new DeliverySlots(options.webhooks.concurrency),
    tried: (subscription, end) => states.tried(subscription, end),
  });
  return {
    ...{ types, registry, store, live, states, publisher, tasks, counts, log, parts, check },
    box: checking.box,
    webhooks: checking.webhooks.client,
    fanOut: new FanOut({
      ...{ types, tasks, counts, clock, maxFanOut, maxHops },
      eachCandidate: (type, look) => live.eachCandidate(type, look),
      tooSlow: (subscription) => states.tooSlow(subscription),
    }),
    flow: new TaskFlow({ types, deliveries, tasks, clock, wallMs, random, find: (uid) => live.find(uid) }),
    close() {
      live.stop();
      checking.webhooks.client.close();
    },
  };
}

function storeOf({ store }: DispatchOptions): DispatchStore | undefined {
  if (store === undefined) return undefined;
  return "sql" in store ? new SqlDispatchStore(store.sql) : store;
}

function checkParts(
  options: DispatchOptions,
  {
    types,
    registry,
    store,
    wallMs,
    resolve,
  }: Pick<DispatcherCore, "types" | "registry" | "store"> & {
    readonly wallMs: () => number;
    readonly resolve: LookupFunction | undefined;
  },
): CheckParts {
  const { webhooks, broker, dialOptions, secretKey } = options;
  const { timeoutMs, maxPayloadBytes } = webhooks;
  const addresses = new PublicAddresses(webhooks);
  const client = new WebhookClient(addresses, resolve);
  return {
    ...{ options, types, registry, broker, addresses },
    connections: new RpcConnections(dialOptions),
    webhooks: { client, registry, maxPayloadBytes, timeoutMs, wallMs },
    webhookSchedule: webhookScheduleOf(webhooks),
    box: new SecretBox(secretKey, store?.isDurable ?? false),
  };
}
