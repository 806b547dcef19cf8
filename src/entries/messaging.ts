/** `ts-ms/messaging`: what is published to brokers, and the calls that their messages become. */

export type {
  Broker,
  BrokerCapabilities,
  BrokerConnection,
  BrokerSubscription,
  CancelledCall,
  DeadLetter,
  DeadLetterBox,
  Delivery,
  Destination,
  GroupQueue,
  IncomingMessage,
  OutgoingMessage,
  Published,
  SubscriptionSpec,
} from "../messaging/broker.ts";
export { openBroker, type OpenBrokerOptions } from "../messaging/brokers.ts";
export { memoryBroker } from "../messaging/memory/memory-broker.ts";
export type { MemoryBrokerOptions } from "../messaging/memory/memory-options.ts";
export { createPublisher, type Publisher } from "../messaging/publisher.ts";
export { watchPublishing, type MessagingMetrics } from "../messaging/publish-counts.ts";
export { breakPublishing } from "../messaging/publish-breaker.ts";
export type {
  Publish,
  PublisherOptions,
  PublishInterceptor,
  PublishItem,
  MessageOptions,
} from "../messaging/publish-options.ts";
export type { SenderOptions } from "../messaging/sender-options.ts";
export type { BrokerDialOptions } from "../messaging/broker-dial-options.ts";
export { Transaction, type AddMessages } from "../messaging/transaction.ts";
export type { CloudEvent } from "../messaging/cloud-event.ts";
export type { ConsumeOverride } from "../messaging/consume-settings.ts";
export { messageOf, type ConsumedMessage } from "../messaging/message-context.ts";
export type { Outcome as ConsumeOutcome, Ordering } from "../messaging/consume-settings.ts";
export type { ConsumedContracts } from "../messaging/consumed-services.ts";
export { MessageServer } from "../messaging/message-server.ts";
export {
  messageServerDefaults,
  type GivenMessageOptions,
  type MessageServerOptions,
} from "../messaging/message-server-options.ts";
export { discard, retryAfter, type DeadReason } from "../messaging/outcome.ts";
export type { RetryOptions } from "../messaging/retry.ts";
export type { SubscriptionStatistics } from "../messaging/subscription-statistics.ts";
export type { DeadLetters, DeadSelection } from "../messaging/dead-letter-box.ts";
export type { Inbox } from "../messaging/inbox.ts";
export type { MessageAdminOptions } from "../messaging/admin-service.ts";
