import type { Registry } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Subscription } from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import type { StoredSubscription } from "../../gen/ts_ms/dispatch/v1/task_pb.ts";
import { type ConnectError, invalidArgument } from "../core/errors/errors.ts";
import type { Broker } from "../messaging/broker.ts";
import { messageServerDefaults } from "../messaging/message-server-options.ts";
import { checkName } from "../messaging/queue-names.ts";
import type { DispatchOptions } from "./dispatch-options.ts";
import type { EventTypes } from "./event-types.ts";
import { compileFilter } from "./filter.ts";
import { type CheckedSubscription, schemasOf } from "./live-subscription.ts";
import type { PublicAddresses } from "./public-address.ts";
import { RoomName, RoomTarget, roomsNamed } from "./room-target.ts";
import { checkRpc, type RpcConnections, RpcTarget } from "./rpc-target.ts";
import type { SecretBox } from "./secret-box.ts";
import { WebhookSigner } from "./signature.ts";
import type { Target, TargetSchedule } from "./target.ts";
import { TopicTarget } from "./topic-target.ts";
import { checkWebhookHeaders, type WebhookParts, WebhookTarget } from "./webhook-target.ts";

/** What subscriptions are checked against, and what their targets use. */
export interface CheckParts {
  readonly options: Pick<DispatchOptions, "rooms" | "webhooks">;
  readonly types: EventTypes;
  readonly registry: Registry;
  readonly broker: Pick<Broker, "publish" | "capabilities" | "system">;
  readonly connections: RpcConnections;
  readonly addresses: PublicAddresses;
  readonly webhooks: WebhookParts;
  readonly webhookSchedule: TargetSchedule;
  readonly box: SecretBox;
}

/** Of rpcs, topics and rooms: as messages that become calls. */
const callSchedule: TargetSchedule = Object.freeze({
  delaysMs: messageServerDefaults.retry.delaysMs,
  orderedDelaysMs: messageServerDefaults.retry.delaysMs,
  concurrency: messageServerDefaults.concurrency,
  timeoutMs: messageServerDefaults.timeoutMs,
});
/** Of webhooks whose events wait for one another: what a broker lets a message be held for. */
const orderedWebhookMs: readonly number[] = Object.freeze([5_000, 60_000, 300_000, 600_000]);

/**
 * Checks filter and target of a subscription.
 *
 * @throws ConnectError INVALID_ARGUMENT naming what cannot be used; SetupError where a package is missing that it needs
 */
export async function checkSubscription(
  subscription: Subscription,
  stored: Pick<StoredSubscription, "uid" | "secrets">,
  parts: CheckParts,
): Promise<CheckedSubscription> {
  const { types, registry } = parts;
  if (subscription.ordered) checkOrdered(parts.broker);
  const filter = await compileFilter(subscription.filter, { types, registry }, "subscription.filter");
  const { case: kind, value } = subscription.target;
  switch (kind) {
    case "rpc": {
      const rpc = checkRpc(value, parts, filter.types);
      targetOf({ ...stored, subscription }, parts).close(); // A target that cannot be dialled is refused now.
      return { filter: filter.narrowed(rpc.types), schedule: callSchedule };
    }
    case "topic":
      checkTopic(value);
      return { filter, schedule: callSchedule };
    case "room":
      roomsNamed(parts.options.rooms, value.topic);
      void new RoomName(value.name, schemasOf(types, filter)); // It checks the name.
      return { filter, schedule: callSchedule };
    case "webhook":
      parts.addresses.checkUrl(value.url);
      checkWebhookHeaders(value.headers);
      return { filter, schedule: parts.webhookSchedule };
    case undefined:
      throw noTarget();
  }
}

/** The target of a subscription that has been checked. @throws ConnectError as `checkSubscription` */
export function targetOf(
  stored: Pick<StoredSubscription, "uid" | "secrets" | "subscription">,
  parts: CheckParts,
): Target {
  const { case: kind, value } = stored.subscription?.target ?? { case: undefined };
  switch (kind) {
    case "rpc": {
      const { method } = checkRpc(value, parts, undefined);
      return new RpcTarget(value.target, method, parts.connections, callSchedule.timeoutMs);
    }
    case "topic":
      return new TopicTarget(value, parts.broker);
    case "room":
      return new RoomTarget(roomsNamed(parts.options.rooms, value.topic), new RoomName(value.name, []));
    case "webhook":
      return new WebhookTarget(value, signerOf(stored, parts.box), parts.webhooks);
    case undefined:
      throw noTarget();
  }
}

function noTarget(): ConnectError {
  return wrong("subscription", "needs a target: rpc, webhook, topic or room");
}

/** Whether a broker delivers the events of a key to all processes together one after another. */
export function isOrderedBy({ capabilities }: Pick<Broker, "capabilities">): boolean {
  return capabilities.ordered !== false;
}

function checkOrdered(broker: Pick<Broker, "capabilities" | "system">): void {
  if (isOrderedBy(broker)) return;
  throw wrong(
    "subscription.ordered",
    `cannot be had over ${broker.system}, which keeps no order of a key among processes: have one process at a time ` +
      "dispatch, and say so by the broker's option `singleReader: true`, or leave it out",
  );
}

/** When webhooks are tried again: one for all of a dispatcher. */
export function webhookScheduleOf({
  delaysMs,
  perTarget,
  timeoutMs,
}: DispatchOptions["webhooks"]): TargetSchedule {
  return { delaysMs, orderedDelaysMs: orderedWebhookMs, concurrency: perTarget, timeoutMs };
}

/** Signs by the current secret and by rotated ones. */
function signerOf(
  { uid, secrets }: Pick<StoredSubscription, "uid" | "secrets">,
  box: SecretBox,
): WebhookSigner {
  return new WebhookSigner(
    secrets.map((secret) => ({
      text: box.open(uid, secret),
      untilMs: secret.until === undefined ? undefined : timestampMs(secret.until),
    })),
  );
}

function checkTopic(topic: string): void {
  try {
    checkName("subscription.topic", "topic", topic);
  } catch (reason) {
    throw wrong("subscription.topic", reason instanceof Error ? reason.message : String(reason));
  }
}

function wrong(field: string, why: string): ConnectError {
  return invalidArgument(`${field}: ${why}`, [{ field, description: why }]);
}
