import type { Program } from "./contestant.ts";
import { gatewayLatencies, handGateway } from "./gateway-duel.ts";
import type { LatencyRatios } from "./latency-duel.ts";
import type { Rig, Row } from "./rig.ts";
import { networkFind, networkSend } from "./works.ts";

const calls = [
  { name: "small POST", work: networkSend },
  { name: "small GET with a query", work: networkFind },
];

/** One connection waits for each response, 32 keep the gateway busy. */
const connectionCounts = [32, 1];

/**
 * Rows of the latency of small calls through a gateway: p50 and p99 at 32 connections and at one, which share a
 * measurement.
 */
export function latencyRows(
  number: string,
  reference: string,
  program: (rig: Rig) => Promise<Program>,
): readonly Row[] {
  const letters = ["a", "b", "c", "d", "e", "f", "g", "h"];
  return calls.flatMap(({ name, work }) =>
    connectionCounts.flatMap((connections) => {
      const done = new WeakMap<Rig, Promise<LatencyRatios>>();
      const measured = (rig: Rig): Promise<LatencyRatios> => {
        let both = done.get(rig);
        if (both === undefined) {
          both = program(rig).then((other) => gatewayLatencies(work, connections, other, rig));
          done.set(rig, both);
        }
        return both;
      };
      const ofCalls = connections === 1 ? "1 connection" : `${connections} connections`;
      return (["p50", "p99"] as const).map((quantile): Row => ({
        id: number + letters.shift(),
        work: `REST → gRPC over the network, ${name}, ${ofCalls}, ${quantile} of latency`,
        subject: "gateway",
        reference,
        better: "lower",
        must: 1.3,
        aim: 1,
        measure: async (rig) => (await measured(rig))[quantile],
      }));
    }),
  );
}

/** Latency against a gateway written by hand. */
export const handLatencyRows = latencyRows(
  "24",
  "hand-written Fastify + grpc-js client",
  async () => handGateway,
);
