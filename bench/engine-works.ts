import { grpcBytes, type GrpcWork } from "./load/grpc-work.ts";
import { grpcSend } from "./works.ts";

/** The calls of clients that have no messages: `small` has a short reply, `large` one of 64 MiB. */
export type EngineCall = "small" | "large";

/** What a client calls, and how it counts. */
export interface EngineWork {
  readonly grpc: GrpcWork;
  /** Length of the reply, with its prefix. */
  readonly answerBytes: number;
  /** Number of calls in flight. */
  readonly width: number;
  /** What a call counts for: 1, or the MiB of its reply. */
  readonly units: number;
}

const largeMebibytes = 64;

/** The work of these calls. */
export function engineWork(call: EngineCall): EngineWork {
  if (call === "small") {
    return { grpc: grpcSend, answerBytes: grpcBytes(grpcSend.answer).length, width: 64, units: 1 };
  }
  const answer = Buffer.alloc(largeMebibytes * 2 ** 20, "abcdefghijklmnopqrstuvwxyz");
  const grpc = { path: "/bench/Large", request: new Uint8Array(), answer };
  return { grpc, answerBytes: grpcBytes(answer).length, width: 1, units: largeMebibytes };
}
