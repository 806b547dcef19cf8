import type { Program } from "./contestant.ts";
import { runDuel, type Contest } from "./duel.ts";
import { runTimedDuel, type LatencyRatios } from "./latency-duel.ts";
import { startCannedBackend } from "./load/canned-backend.ts";
import { overHttp, streamsOverHttp, timedOverHttp } from "./over-wire.ts";
import type { Measured, Rig } from "./rig.ts";
import type { StreamedWork } from "./stream-works.ts";
import type { NetworkWork } from "./works.ts";

/** The gateway in front of a backend; the backend's address is added as an argument. */
export const networkGateway: Program = { file: "network-gateway.ts" };

/** The same, written by hand. */
export const handGateway: Program = { file: "hand-gateway.ts" };

/** Compares the CPU time of gateways in front of a backend that shares the core of the load. */
export function gatewayDuel(
  work: NetworkWork,
  reference: Program,
  rig: Rig,
  subject: Program = networkGateway,
): Promise<Measured> {
  return withBackend(work, reference, (sides) => runDuel({ ...sides, ...overHttp(work.http) }, rig), subject);
}

/** The same for calls with many messages: CPU time per message. */
export function streamGatewayDuel(work: StreamedWork, reference: Program, rig: Rig): Promise<Measured> {
  return withBackend(work, reference, (sides) => runDuel({ ...sides, ...streamsOverHttp(work) }, rig));
}

/** Compares the latency of calls on so many connections. */
export function gatewayLatencies(
  work: NetworkWork,
  connections: number,
  reference: Program,
  rig: Rig,
): Promise<LatencyRatios> {
  return withBackend(work, reference, (sides) =>
    runTimedDuel({ ...sides, ...timedOverHttp(work.http, connections) }, rig),
  );
}

async function withBackend<T>(
  work: NetworkWork,
  reference: Program,
  measure: (sides: Pick<Contest, "subject" | "reference">) => Promise<T>,
  subject: Program = networkGateway,
): Promise<T> {
  const backend = await startCannedBackend([work.grpc]);
  const inFront = ({ file, args = [] }: Program): Program => ({
    file,
    args: [...args, `127.0.0.1:${backend.port}`],
  });
  try {
    return await measure({ subject: inFront(subject), reference: inFront(reference) });
  } finally {
    backend.close();
  }
}
