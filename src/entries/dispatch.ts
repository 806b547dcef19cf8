/** `ts-ms/dispatch`: events to subscriptions: rpcs, webhooks, topics and rooms. */

export { EventDispatcher } from "../dispatch/dispatcher.ts";
export type { DispatcherParts } from "../dispatch/dispatcher-core.ts";
export {
  dispatchDefaults,
  type DispatchOptions,
  type DispatchRooms,
  type EventDispatcherOptions,
  type GivenSubscription,
  webhookDefaults,
  type WebhookOptions,
} from "../dispatch/dispatch-options.ts";
export type {
  DeliveryQuery,
  DispatchStore,
  KeptDelivery,
  KeptSubscription,
} from "../dispatch/dispatch-store.ts";
export { cloudEventHeaders } from "../dispatch/event-service.ts";
export { memoryDispatchStore } from "../dispatch/memory-dispatch-store.ts";
export type { WebhookTargets } from "../dispatch/public-address.ts";
export {
  EventService,
  SubscriptionService,
  SubscriptionDisabledSchema,
} from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
