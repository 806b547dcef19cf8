/** `ts-ms/messaging`: what is published to brokers, and the calls that their messages become. */

export type {
  Broker,
  BrokerCapabilities,
  BrokerSubscription,
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
export type { CloudEvent } from "../messaging/cloud-event.ts";
export type { ConsumeOverride } from "../messaging/consume-settings.ts";
