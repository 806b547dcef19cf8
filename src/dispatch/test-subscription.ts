import { create, toBinary } from "@bufbuild/protobuf";
import {
  type Subscription,
  Subscription_State as State,
  type TestSubscriptionResponseSchema,
} from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import { EventSchema } from "../../gen/ts_ms/dispatch/v1/task_pb.ts";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { invalidArgument } from "../core/errors/errors.ts";
import { structuredJson } from "../messaging/structured-event.ts";
import { DispatchedEvent } from "./dispatched-event.ts";
import type { DispatcherCore } from "./dispatcher-core.ts";
import { stateName } from "./dispatch-counts.ts";
import { eventType, messageOf, readEvent } from "./event-service.ts";
import { compileFilter } from "./filter.ts";
import type { Finding } from "./filter-tests.ts";

/**
 * Says whether an event would match a subscription, and why.
 *
 * @param eventJson the event in structured mode
 * @throws ConnectError INVALID_ARGUMENT for what is no event or no filter
 */
export async function testSubscription(
  { types, registry }: Pick<DispatcherCore, "types" | "registry">,
  subscription: Subscription | undefined,
  eventJson: string,
): Promise<MessageInitShape<typeof TestSubscriptionResponseSchema>> {
  if (subscription === undefined) throw invalidArgument("subscription_id or subscription must be set");
  const filter = await compileFilter(subscription.filter, { types, registry });
  const { event, data } = readEvent({
    headers: [],
    contentType: structuredJson,
    contentEncoding: undefined,
    body: Buffer.from(eventJson),
  });
  const type = eventType(types, event.type);
  const message = await messageOf(type, data, registry);
  const { id, source, subject, timeMs, extensions } = event;
  const kept = create(EventSchema, {
    ...{ id, source, type: type.type, extensions: Object.fromEntries(extensions) },
    ...(subject !== undefined && { subject }),
    ...(timeMs !== undefined && { timeMs: BigInt(timeMs) }),
    data: toBinary(type.schema, message),
  });
  const findings = [...filter.findings(new DispatchedEvent(type, kept)), ...findingsOfState(subscription)];
  return { matches: findings.every(({ holds, path }) => holds || isInner(path)), findings };
}

/** Whether a finding is of a filter in another, whose own finding says what is made of it. */
function isInner(path: string): boolean {
  return path.includes("[");
}

function findingsOfState({ state, stateReason }: Subscription): Finding[] {
  if (state === State.STATE_UNSPECIFIED || state === State.ACTIVE) return [];
  return [{ path: "state", holds: state === State.PAUSED, why: `it is ${stateName(state)}: ${stateReason}` }];
}
