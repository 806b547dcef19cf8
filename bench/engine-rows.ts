import { hash } from "node:crypto";
import { createCertificate } from "../test/support/certificates.ts";
import { runDuel, samplesAre, type Contest } from "./duel.ts";
import { engineWork, type EngineCall } from "./engine-works.ts";
import { callsOneByOne, runTimedDuel } from "./latency-duel.ts";
import { startCannedBackend } from "./load/canned-backend.ts";
import { grpcBytes } from "./load/grpc-work.ts";
import { overHttp2 } from "./over-wire.ts";
import type { Measured, Row } from "./rig.ts";
import { find } from "./works.ts";

const client = { subject: "own engine", reference: "`node:http2` client" };

/** HTTP/2 alone: clients without messages, and a small route. */
export const engineRows: readonly Row[] = [
  {
    id: "14",
    ...client,
    work: "HTTP/2 client engine alone, 64 calls in flight",
    better: "higher",
    must: 4,
    aim: 8,
    measure: (rig) => engineDuel("small", false, (duel) => runDuel(duel, rig)),
  },
  {
    id: "14t",
    ...client,
    work: "HTTP/2 client engine alone, 64 calls in flight, over TLS",
    better: "higher",
    must: 2,
    aim: 3,
    measure: (rig) => engineDuel("small", true, (duel) => runDuel(duel, rig)),
  },
  {
    id: "15",
    ...client,
    work: "HTTP/2 client engine alone, one call at a time, p50 of latency",
    better: "lower",
    must: 1,
    aim: 0.7,
    measure: (rig) =>
      engineDuel("small", false, async (duel) => {
        return (await runTimedDuel({ ...duel, drive: callsOneByOne }, rig)).p50;
      }),
  },
  {
    id: "16",
    work: "REST over HTTP/2 → handler in process, small GET",
    subject: "gateway",
    reference: "bare Fastify on `node:http2`",
    better: "higher",
    must: 2,
    aim: 4,
    measure: (rig) =>
      runDuel(
        {
          subject: { file: "gateway.ts" },
          reference: { file: "bare-fastify.ts", args: ["http2"] },
          ...overHttp2(find),
        },
        rig,
      ),
  },
  {
    id: "20",
    ...client,
    work: "HTTP/2 client engine alone, replies of 64 MiB, CPU time per MiB",
    better: "higher",
    must: 1.2,
    aim: 2,
    measure: (rig) => engineDuel("large", false, (duel) => runDuel(duel, rig)),
  },
];

/** Both clients call the same backend, which shares the core of the load. */
async function engineDuel(
  call: EngineCall,
  secure: boolean,
  measure: (duel: Omit<Contest, "drive">) => Promise<Measured>,
): Promise<Measured> {
  const { grpc } = engineWork(call);
  const tls = secure ? createCertificate({ name: "bench", hosts: ["127.0.0.1"] }) : undefined;
  const backend = await startCannedBackend([grpc], tls);
  const args = [`127.0.0.1:${backend.port}`, call, ...(tls === undefined ? [] : [tls.cert])];
  try {
    return await measure({
      subject: { file: "http2-engine.ts", args: ["own", ...args] },
      reference: { file: "http2-engine.ts", args: ["node", ...args] },
      check: samplesAre(hash("sha256", grpcBytes(grpc.answer))),
    });
  } finally {
    backend.close();
  }
}
