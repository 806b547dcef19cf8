/** `ts-ms/hub/nats`: hubs of several processes, joined by NATS. */

export { natsBus, type NatsBusOptions } from "../hub/bus/nats/nats-bus.ts";
export { natsDefaults, type NatsOptions } from "../core/nats/nats-options.ts";
