/** `ts-ms/rabbitmq`: messages between services over RabbitMQ. */

export { rabbitmq } from "../messaging/rabbitmq/rabbitmq.ts";
export {
  rabbitMqDefaults,
  type RabbitMqOptions,
  type RabbitMqTls,
  type ReconnectOptions,
} from "../messaging/rabbitmq/rabbitmq-options.ts";
