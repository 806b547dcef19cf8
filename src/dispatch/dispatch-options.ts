import { createRegistry, type MessageInitShape, type Registry } from "@bufbuild/protobuf";
import { hostname } from "node:os";
import type { SubscriptionSchema } from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import type { FaultLogOptions } from "../core/call/fault-log.ts";
import { parseBase64 } from "../core/codec/base64-text.ts";
import { checkOptions, checkRequired, hasFunctions, show } from "../core/config/check-options.ts";
import type { DialOptions } from "../core/dial.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import type { Principal } from "../core/security/principal.ts";
import type { Broker } from "../messaging/broker.ts";
import { checkName, checkQueueNames } from "../messaging/queue-names.ts";
import type { Store } from "../outbox/store.ts";
import type { DispatchStore } from "./dispatch-store.ts";
import { type WebhookTargets, webhookTargetDefaults } from "./public-address.ts";

/** Rooms to which events can go, such as a topic of the hub. */
export interface DispatchRooms {
  publish(room: string, message: never): Promise<unknown>;
}

/** How webhooks are sent. Times are in milliseconds, sizes in bytes. */
export interface WebhookOptions extends WebhookTargets {
  /** The longest time of one try, the answer included. Default: 15,000. */
  readonly timeoutMs: number;
  /** The pauses between tries, each of them longer or shorter by up to a fifth. Default: from 5 s to 24 h, 10 tries in 3 days. */
  readonly delaysMs: readonly number[];
  /** How long a subscription may fail before it is disabled. Default: 432,000,000, five days. */
  readonly disableAfterMs: number;
  /** The largest event, as JSON. Default: 256 KiB. */
  readonly maxPayloadBytes: number;
  /** Requests at once. Those that have failed last get half of them at the most. Default: 64. */
  readonly concurrency: number;
  /** Requests at once for one subscription; one while its last try has failed. Default: 8. */
  readonly perTarget: number;
  /** How this program calls itself where receivers are asked first, as a host name. Default: that of the machine. */
  readonly origin: string;
}

/** The defaults of `WebhookOptions`. */
export const webhookDefaults: Omit<WebhookOptions, "origin"> = Object.freeze({
  ...webhookTargetDefaults,
  timeoutMs: 15_000,
  delaysMs: Object.freeze([
    5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 50_400_000, 72_000_000, 86_400_000,
  ]),
  disableAfterMs: 432_000_000,
  maxPayloadBytes: 256 * 1024,
  concurrency: 64,
  perTarget: 8,
});

/** A subscription as configurations have it. */
export type GivenSubscription = MessageInitShape<typeof SubscriptionSchema>;

/** Options of `EventDispatcher`. */
export interface DispatchOptions extends FaultLogOptions {
  readonly broker: Broker;
  /** The topics whose events are dispatched. */
  readonly topics: readonly string[];
  /** The types of events, which are messages with the option `event`, and the services of rpc targets. */
  readonly registry: Registry;
  /**
   * Keeps subscriptions and deliveries: a store of `ts-ms/outbox`, or one of `memoryDispatchStore`. Undefined: there are
   * the subscriptions of the option alone. Default: undefined.
   */
  readonly store: Pick<Store, "sql"> | DispatchStore | undefined;
  /** Subscriptions by their ids: no caller of the service sees or changes them. Default: none. */
  readonly subscriptions: Readonly<Record<string, GivenSubscription>>;
  /** Rooms by the names that subscriptions have for them. Default: none. */
  readonly rooms: Readonly<Record<string, DispatchRooms>>;
  /** Options of connections to rpc targets. */
  readonly dialOptions: Partial<Omit<DialOptions, "interceptors" | "network">>;
  /**
   * Whether a caller of the service may have a subscription, asked when it is made and changed. One with an rpc makes this
   * program call it, one with a topic makes it publish there. Default: principals with the role `admin` may have any, as
   * calls without a principal that are made in this process; others are refused with PERMISSION_DENIED.
   */
  readonly authorize: ((subscription: GivenSubscription, who: Principal | undefined) => boolean) | undefined;
  /** The group that reads the topics, and begins the names of queues of tasks. Default: `ts-ms.dispatch`. */
  readonly group: string;
  /** Handlers at once for the events of a topic, in this process. Default: 32. */
  readonly concurrency: number;
  /** The most subscriptions that one event may match; it is a dead letter beyond. Default: 10,000. */
  readonly maxFanOut: number;
  /** How often dispatchers may publish one event; it is a dead letter beyond. Default: 8. */
  readonly maxHops: number;
  /** Which deliveries are kept for `ListDeliveries` and `Redeliver`. Default: `failures`. */
  readonly logDeliveries: "failures" | "all" | "none";
  /** How long deliveries are kept, in milliseconds. Default: 604,800,000, a week. */
  readonly retentionMs: number;
  /** 32 bytes in base64 by which secrets of webhooks are encrypted in a store. Default: none, with which a database keeps no webhooks. */
  readonly secretKey: string | undefined;
  readonly webhooks: WebhookOptions;
}

/** What must be given. */
type Required = Pick<DispatchOptions, "broker" | "topics">;

/** The defaults of `DispatchOptions`. */
export const dispatchDefaults: Omit<DispatchOptions, keyof Required | "webhooks"> = Object.freeze({
  registry: createRegistry(),
  store: undefined,
  subscriptions: {},
  rooms: {},
  dialOptions: {},
  authorize: undefined,
  logger: undefined,
  group: "ts-ms.dispatch",
  concurrency: 32,
  maxFanOut: 10_000,
  maxHops: 8,
  logDeliveries: "failures",
  retentionMs: 604_800_000,
  secretKey: undefined,
});

/** What a caller gives: the options of webhooks may be given in part. */
export type EventDispatcherOptions = Partial<Omit<DispatchOptions, keyof Required | "webhooks">> &
  Required & { readonly webhooks?: Partial<WebhookOptions> };

const owner = "EventDispatcher";

/** The options with their defaults. @throws SetupError naming the option that cannot be used, and what it must be */
export function mergeDispatchOptions(given: EventDispatcherOptions): DispatchOptions {
  const known = { ...dispatchDefaults, broker: undefined, topics: undefined, webhooks: undefined };
  checkOptions<DispatchOptions>(owner, given, known);
  const { broker, topics } = given;
  checkRequired(owner, "broker", broker, hasFunctions(broker, "publish", "subscribe"), "a broker");
  checkRequired(
    owner,
    "topics",
    topics,
    Array.isArray(topics) && topics.length > 0,
    'a list of topics such as ["orders"]',
  );
  const webhooks = { origin: hostname(), ...webhookDefaults, ...given.webhooks };
  checkOptions<WebhookOptions>(`${owner}: webhooks`, given.webhooks ?? {}, {
    origin: "",
    ...webhookDefaults,
  });
  const merged: DispatchOptions = { ...dispatchDefaults, ...given, webhooks };
  for (const topic of topics) checkQueueNames(owner, topic, merged.group);
  checkName(owner, "group", merged.group);
  for (const name of ["concurrency", "maxFanOut", "maxHops", "retentionMs"] as const)
    checkCount(name, merged[name]);
  checkWebhooks(webhooks);
  const { authorize, logDeliveries, secretKey } = merged;
  check("authorize", authorize, authorize === undefined || typeof authorize === "function", "a function");
  const words = ["failures", "all", "none"];
  check("logDeliveries", logDeliveries, words.includes(logDeliveries), '"failures", "all" or "none"');
  if (secretKey !== undefined && parseBase64(secretKey)?.length !== 32) {
    throw new SetupError(`${owner}: the option secretKey must be 32 bytes in base64`); // It is not shown.
  }
  return merged;
}

function checkWebhooks(webhooks: WebhookOptions): void {
  for (const name of ["timeoutMs", "disableAfterMs", "maxPayloadBytes", "concurrency", "perTarget"] as const)
    checkCount(`webhooks.${name}`, webhooks[name]);
  const { delaysMs, ports } = webhooks;
  const isDelay = (ms: unknown): boolean => Number.isInteger(ms) && Number(ms) > 0 && Number(ms) < 2 ** 31;
  const areDelays = Array.isArray(delaysMs) && delaysMs.every(isDelay);
  check("webhooks.delaysMs", delaysMs, areDelays, "a list of whole numbers of milliseconds above 0");
  const isPort = (port: unknown): boolean =>
    Number.isInteger(port) && Number(port) > 0 && Number(port) < 65_536;
  check(
    "webhooks.ports",
    ports,
    Array.isArray(ports) && ports.every(isPort),
    "a list of ports such as [443, 8443]",
  );
}

function checkCount(name: string, value: number): void {
  check(name, value, Number.isInteger(value) && value >= 1, "a whole number, at least 1");
}

function check(name: string, value: unknown, isGood: boolean, allowed: string): void {
  if (!isGood) throw new SetupError(`${owner}: the option ${name} must be ${allowed}, not ${show(value)}`);
}
