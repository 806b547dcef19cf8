/** `ts-ms/kafka`: messages between services over Kafka. */

export { kafka } from "../messaging/kafka/kafka.ts";
export {
  kafkaDefaults,
  type KafkaOptions,
  type KafkaSasl,
  type KafkaTls,
  type KafkaReconnect,
} from "../messaging/kafka/kafka-options.ts";
