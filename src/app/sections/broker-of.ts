import type {
  BrokerConfig,
  KafkaConfig,
  NatsBrokerConfig,
} from "../../../gen/ts_ms/config/v1/messaging_pb.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { MadeBroker } from "../../messaging/broker.ts";
import { makeBroker, type OpenBrokerOptions } from "../../messaging/brokers.ts";
import type { KafkaOptions, KafkaSasl } from "../../messaging/kafka/kafka-options.ts";
import type { MemoryBrokerOptions } from "../../messaging/memory/memory-options.ts";
import type { RabbitMqOptions } from "../../messaging/rabbitmq/rabbitmq-options.ts";
import { ConfiguredBroker } from "../configured-broker.ts";
import { given } from "./given.ts";
import type { SectionKit } from "./section.ts";

/** The broker of the configuration, which several sections use. @throws what `SectionKit.mistake` returns */
export function brokerOf(kit: SectionKit): Promise<ConfiguredBroker> {
  return kit.shared(openConfigured);
}

async function openConfigured(kit: SectionKit): Promise<ConfiguredBroker> {
  const broker = kit.config.messaging?.broker;
  if (broker === undefined) throw kit.mistake("messaging", "is missing: something else needs its broker");
  const make = (): Promise<MadeBroker> => makeBroker(broker.url, brokerOptions(broker));
  try {
    return new ConfiguredBroker(await make(), make);
  } catch (reason) {
    if (!(reason instanceof SetupError)) throw reason;
    const isOfUrl = reason.message.startsWith("openBroker: a broker's URL");
    throw kit.mistake(isOfUrl ? "messaging.broker.url" : "messaging.broker", reason.message);
  }
}

/** The options of `openBroker` that a configuration says. */
export function brokerOptions(broker: BrokerConfig): OpenBrokerOptions {
  const { prefix, name, tls, reconnect, memory, rabbitmq, kafka, nats } = broker;
  return given({
    ...{ prefix, name },
    tls: tls && given({ ca: tls.ca, cert: tls.cert, key: tls.key, serverName: tls.serverName }),
    reconnect: reconnect && {
      initialMs: reconnect.initial,
      maxMs: reconnect.max,
      jitter: reconnect.jitter,
    },
    memory: memory && {
      confirm: memory.confirm as MemoryBrokerOptions["confirm"], // The key takes no other.
      maxMessages: memory.maxMessages,
      maxBytes: memory.maxBytes,
    },
    rabbitmq: rabbitmq && {
      urls: rabbitmq.urls,
      queueType: rabbitmq.queueType as RabbitMqOptions["queueType"], // The key takes no other.
      partitions: rabbitmq.partitions,
      heartbeatMs: rabbitmq.heartbeat,
      maxFrameBytes: rabbitmq.maxFrameBytes,
    },
    kafka: kafka && kafkaOptions(kafka),
    nats: nats && natsOptions(nats),
  });
}

function kafkaOptions(kafka: KafkaConfig): NonNullable<OpenBrokerOptions["kafka"]> {
  const { sasl, clientId, rack, partitions, replicas, maxBatchBytes, instanceId, maxAhead, declare } = kafka;
  return given({
    ...{ clientId, rack, partitions, replicas, maxBatchBytes, instanceId, maxAhead, declare },
    sasl:
      sasl &&
      ({
        mechanism: sasl.mechanism as KafkaSasl["mechanism"], // The key takes no other.
        ...given({ username: sasl.username, password: sasl.password, token: sasl.token }),
      } satisfies KafkaSasl),
    compression: kafka.compression as KafkaOptions["compression"], // As above.
    sessionTimeoutMs: kafka.sessionTimeout,
    rebalanceTimeoutMs: kafka.rebalanceTimeout,
    commitIntervalMs: kafka.commitInterval,
  });
}

function natsOptions(nats: NatsBrokerConfig): NonNullable<OpenBrokerOptions["nats"]> {
  const { credentials, replicas, singleReader, declare } = nats;
  return given({
    ...{ credentials, replicas, singleReader, declare },
    ackWaitMs: nats.ackWait,
    duplicateWindowMs: nats.duplicateWindow,
    maxAgeMs: nats.maxAge,
  });
}
