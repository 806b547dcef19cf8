import { create, type Registry } from "@bufbuild/protobuf";
import { EventSchema } from "../../gen/ts_ms/dispatch/v1/task_pb.ts";
import { configuredSubscriptions } from "../../src/dispatch/configured-subscriptions.ts";
import {
  type EventDispatcherOptions,
  type GivenSubscription,
  mergeDispatchOptions,
} from "../../src/dispatch/dispatch-options.ts";
import { DispatchedEvent } from "../../src/dispatch/dispatched-event.ts";
import {
  type DispatcherCore,
  dispatcherCore,
  type DispatcherParts,
} from "../../src/dispatch/dispatcher-core.ts";
import { memoryBroker } from "../../src/messaging/memory/memory-broker.ts";

/** The parts of a dispatcher that reads nothing, with subscriptions that it knows. */
export async function coreWith(
  registry: Registry,
  subscriptions: Readonly<Record<string, GivenSubscription>>,
  options: Partial<EventDispatcherOptions> = {},
  parts: DispatcherParts = {},
): Promise<DispatcherCore> {
  const given = { broker: memoryBroker(), topics: ["made"], registry, logger: false, ...options } as const;
  const core = dispatcherCore(mergeDispatchOptions(given), parts, () => {});
  await core.live.configure(configuredSubscriptions(subscriptions));
  return core;
}

/** An event of a type as a dispatcher gets it. @param data its message in protobuf's binary form */
export function eventOf(core: DispatcherCore, type: string, data = new Uint8Array()): DispatchedEvent {
  const kept = create(EventSchema, { id: "1", source: "/test", type, subject: "7", data });
  const event = DispatchedEvent.kept(core.types, kept);
  if (event === undefined) throw new Error(`there is no event of the type ${type}`);
  return event;
}
