import { memory } from "../support/brokers/memory.ts";
import { brokerCases } from "./broker-cases.ts";

/** The brokers that run in this process; those with servers are in `brokers.long.test.ts`. */
const fixtures = [memory];

for (const fixture of fixtures) brokerCases(fixture);
