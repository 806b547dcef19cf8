import { runDuel } from "./duel.ts";
import { startCannedBackend } from "./load/canned-backend.ts";
import { overHttp } from "./over-wire.ts";
import type { Row } from "./rig.ts";
import { networkSend } from "./works.ts";

/** What many upstreams behind one gateway cost. */
export const upstreamRows: readonly Row[] = [
  {
    id: "c4u",
    work: "REST → gRPC over the network, small POST",
    subject: "gateway with `Upstreams`: 50 upstreams, 200 services, split and mirror at 0 %",
    reference: "gateway of that upstream alone, `dial([…])`",
    better: "higher",
    must: 0.95,
    aim: 1,
    async measure(rig) {
      const backend = await startCannedBackend([networkSend.grpc]);
      const address = `127.0.0.1:${backend.port}`;
      const subject = { file: "upstreams-gateway.ts", args: [address] };
      const reference = { file: "upstreams-gateway.ts", args: ["alone", address] };
      try {
        return await runDuel({ subject, reference, ...overHttp(networkSend.http) }, rig);
      } finally {
        backend.close();
      }
    },
  },
];
