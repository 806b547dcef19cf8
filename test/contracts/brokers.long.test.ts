import { kafka } from "../support/brokers/kafka.ts";
import { nats } from "../support/brokers/nats.ts";
import { rabbitmq } from "../support/brokers/rabbitmq.ts";
import { brokerCases } from "./broker-cases.ts";

/** The brokers with servers; that of this process is in `brokers.test.ts`. */
const fixtures = [rabbitmq, kafka, nats];

for (const fixture of fixtures) brokerCases(fixture);
