import { gatewayDuel, networkGateway } from "./gateway-duel.ts";
import { runDuel } from "./duel.ts";
import { overGrpc } from "./over-wire.ts";
import type { Row } from "./rig.ts";
import { grpcSend, networkFind, networkSend } from "./works.ts";

const row = {
  subject: "gateway among 50 upstreams, split and mirror at 0 %",
  reference: "the same gateway with one upstream",
  better: "higher",
  must: 0.95,
  aim: 1,
} as const;

/** What traffic tools cost that do nothing, and what handlers cost that find their call. */
export const trafficRows: readonly Row[] = [
  {
    ...row,
    id: "c4a",
    work: "REST → gRPC over the network, small POST",
    measure: (rig) => gatewayDuel(networkSend, networkGateway, rig, { ...networkGateway, args: ["traffic"] }),
  },
  {
    ...row,
    id: "c4b",
    work: "REST → gRPC over the network, small GET",
    measure: (rig) => gatewayDuel(networkFind, networkGateway, rig, { ...networkGateway, args: ["traffic"] }),
  },
  {
    id: "c9",
    work: "gRPC → handler, small unary",
    subject: "gRPC server with `ambient`",
    reference: "the same without",
    better: "higher",
    must: 0.95,
    aim: 0.98,
    measure: (rig) => {
      const server = { file: "grpc-server.ts" };
      return runDuel(
        { subject: { ...server, args: ["ambient"] }, reference: server, ...overGrpc(grpcSend) },
        rig,
      );
    },
  },
];
