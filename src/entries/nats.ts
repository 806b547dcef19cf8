/** `ts-ms/nats`: messages between services over NATS with JetStream. */

export { nats } from "../messaging/nats/nats.ts";
export { natsBrokerDefaults, type NatsBrokerOptions } from "../messaging/nats/nats-options.ts";
