import { Missing } from "../conformance/tools.ts";
import type { Program } from "./contestant.ts";
import { runDuel } from "./duel.ts";
import { listBooks, storeBooks } from "./large-works.ts";
import { startCannedBackend } from "./load/canned-backend.ts";
import { overHttp } from "./over-wire.ts";
import { buildGrpcGateway, fetchEnvoy } from "./peers.ts";
import type { Row } from "./rig.ts";
import { networkFind, networkSend, type NetworkWork } from "./works.ts";

/** A gateway of another project. */
interface Peer {
  readonly name: string;
  /** The program that runs it; the backend's address is added as an argument. */
  readonly program: () => Promise<Program>;
}

const grpcGateway: Peer = {
  name: "grpc-gateway (Go)",
  program: async () => ({ file: "grpc-gateway.ts", args: [await buildGrpcGateway()] }),
};
const envoy: Peer = {
  name: "Envoy (C++)",
  program: async () => ({ file: "envoy.ts", args: [await fetchEnvoy()] }),
};

const post = { name: "small POST", work: networkSend };
const get = { name: "small GET with a query", work: networkFind };
const list = { name: "100 items out", work: listBooks };
const batch = { name: "100 items in", work: storeBooks };

/** Gateways side by side in front of the same backend. */
export const peerRows: readonly Row[] = [
  row("11a", post, grpcGateway, 0.6, 1.3),
  row("11b", get, grpcGateway, 0.6, 1.3),
  row("11c", post, envoy, 0.9, 2),
  row("11d", get, envoy, 0.9, 2),
  row("12a", list, grpcGateway, 2.5, 4),
  row("12b", batch, grpcGateway, 2.5, 4),
  row("12c", list, envoy, 1.6, 3),
  row("12d", batch, envoy, 1.6, 3),
];

function row(
  id: string,
  { name, work }: { readonly name: string; readonly work: NetworkWork },
  peer: Peer,
  must: number,
  aim: number,
): Row {
  return {
    id,
    work: `REST → gRPC over the network, ${name}`,
    subject: "gateway",
    reference: peer.name,
    better: "higher",
    must,
    aim,
    measure: async (rig) => {
      if (!rig.peers) throw new Missing("it takes `npm run bench -- --peers`");
      const { file, args = [] } = await peer.program();
      const backend = await startCannedBackend([work.grpc]);
      const upstream = `127.0.0.1:${backend.port}`;
      try {
        return await runDuel(
          {
            subject: { file: "network-gateway.ts", args: [upstream] },
            reference: { file, args: [...args, upstream] },
            ...overHttp(work.http),
          },
          rig,
        );
      } finally {
        backend.close();
      }
    },
  };
}
