import { nats } from "../../support/brokers/nats.ts";
import { rabbitmq } from "../../support/brokers/rabbitmq.ts";
import { contractCases } from "./contract-cases.ts";

contractCases(rabbitmq);
contractCases(nats);
