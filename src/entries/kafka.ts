/** `ts-ms/kafka`: messages between services over Kafka. */

export { kafka } from "../messaging/kafka/kafka.ts";
export { kafkaDefaults, type KafkaOptions, type KafkaSasl } from "../messaging/kafka/kafka-options.ts";
