/** `ts-ms/rabbitmq`: messages between services over RabbitMQ. */

export { rabbitmq } from "../messaging/rabbitmq/rabbitmq.ts";
export { rabbitMqDefaults, type RabbitMqOptions } from "../messaging/rabbitmq/rabbitmq-options.ts";
export type { BrokerTls, ReconnectOptions } from "../messaging/broker-options.ts";
