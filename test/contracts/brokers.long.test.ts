import { kafka } from "../support/brokers/kafka.ts";
import { rabbitmq } from "../support/brokers/rabbitmq.ts";
import { brokerCases } from "./broker-cases.ts";

/** The brokers with servers; that of this process is in `brokers.test.ts`. */
const fixtures = [rabbitmq, kafka];

for (const fixture of fixtures) brokerCases(fixture);
