import { create, fromBinary } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type Delivery,
  Delivery_Status as Status,
  DeliverySchema,
} from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import type { Code as RpcCode } from "../../gen/google/rpc/code_pb.ts";
import { EventSchema } from "../../gen/ts_ms/dispatch/v1/task_pb.ts";
import { Code, ConnectError, invalidArgument } from "../core/errors/errors.ts";
import { DispatchedEvent } from "./dispatched-event.ts";
import type { DispatchStore, KeptDelivery, KeptSubscription } from "./dispatch-store.ts";
import type { DispatcherCore } from "./dispatcher-core.ts";
import { pageSizeOf, pageToken, readPageToken } from "./page-token.ts";

/** The most deliveries that one call sends again. */
const mostRedelivered = 10_000;
const pageRows = 500;

const statuses: Readonly<Record<KeptDelivery["status"], Status>> = {
  delivered: Status.DELIVERED,
  failed: Status.FAILED,
  dead: Status.DEAD,
};

/** A page of the deliveries of a subscription, the newest first. @throws ConnectError INVALID_ARGUMENT */
export async function listDeliveries(store: DispatchStore, uid: string, size: number, token: string) {
  const limit = pageSizeOf(size);
  const [beforeMs, beforeId] = readPageToken(token, 2);
  const place = beforeMs === undefined ? {} : { beforeMs: Number(beforeMs), beforeId: String(beforeId) };
  const found = await store.deliveries({ uid, ...place, limit: limit + 1 });
  const page = found.slice(0, limit);
  const last = page.at(-1);
  const isMore = found.length > limit && last !== undefined;
  return {
    deliveries: page.map(shown),
    nextPageToken: isMore ? pageToken([last.timeMs, last.deliveryId]) : "",
  };
}

/**
 * Sends events again: their attempts begin again.
 *
 * @throws ConnectError NOT_FOUND for an unknown delivery, INVALID_ARGUMENT where neither id nor time is given,
 *   FAILED_PRECONDITION for more than 10,000
 */
export async function redeliver(
  { types, tasks }: Pick<DispatcherCore, "types" | "tasks">,
  store: DispatchStore,
  { uid, stored }: KeptSubscription,
  which: {
    readonly deliveryId: string;
    readonly since?: Timestamp | undefined;
    readonly before?: Timestamp | undefined;
  },
  signal: AbortSignal,
): Promise<{ readonly redelivered: number }> {
  const found = await chosen(store, uid, which);
  let redelivered = 0;
  for (const { event: bytes } of found) {
    const event = DispatchedEvent.kept(types, fromBinary(EventSchema, bytes));
    if (event === undefined) continue;
    await tasks.again(event, uid, stored?.subscription?.ordered ?? false, signal);
    redelivered++;
  }
  return { redelivered };
}

async function chosen(
  store: DispatchStore,
  uid: string,
  { deliveryId, since, before }: Parameters<typeof redeliver>[3],
): Promise<readonly KeptDelivery[]> {
  if (deliveryId !== "") {
    const found = await store.deliveries({ uid, deliveryId, limit: 1 });
    if (found.length > 0) return found;
    throw new ConnectError(`there is no delivery ${JSON.stringify(deliveryId)}`, Code.NotFound);
  }
  if (since === undefined) throw invalidArgument("delivery_id or since must be set");
  const all: KeptDelivery[] = [];
  let place: { beforeMs?: number; beforeId?: string } =
    before === undefined ? {} : { beforeMs: timestampMs(before) };
  for (;;) {
    const page = await store.deliveries({ uid, sinceMs: timestampMs(since), ...place, limit: pageRows });
    all.push(...page);
    const last = page.at(-1);
    if (page.length < pageRows || last === undefined) return all.reverse(); // The oldest is sent first.
    if (all.length > mostRedelivered)
      throw new ConnectError(
        `there are more than ${mostRedelivered} deliveries in this time: choose a shorter one`,
        Code.FailedPrecondition,
      );
    place = { beforeMs: last.timeMs, beforeId: last.deliveryId };
  }
}

function shown(kept: KeptDelivery): Delivery {
  const { status, timeMs, code: number, uid: _, event: __, ...rest } = kept;
  const code = number as RpcCode; // Both are the codes of gRPC.
  return create(DeliverySchema, { ...rest, code, status: statuses[status], time: timestampFromMs(timeMs) });
}
