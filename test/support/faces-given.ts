import assert from "node:assert/strict";
import type { DescService } from "@bufbuild/protobuf";
import type { Contract, FaceHost } from "../../src/entries/openapi.ts";
import { GrpcServer, HttpServer } from "../../src/index.ts";
import { threadMs } from "./thread-time.ts";

/** What a face gets of a server with these services. */
export async function givenToFaces(
  services: readonly DescService[],
): Promise<{ contract: Contract; host: FaceHost }> {
  let given: { contract: Contract; host: FaceHost } | undefined;
  const http = new HttpServer({
    port: 0,
    upstream: new GrpcServer({ listen: false }),
    faces: [
      {
        name: "probe",
        paths: ["/probe"],
        mount: (host) => ({
          use(contract) {
            given = { contract, host };
            return new Map();
          },
          describe: () => [],
        }),
      },
    ],
  });
  for (const service of services) http.addService(service);
  await http.start();
  await http.gracefulStop();
  return given ?? assert.fail("the face was not used");
}

/** What something that is made in steps costs. */
export interface StepCosts<T> {
  readonly value: T;
  /** CPU time of this thread for all steps, in milliseconds. */
  readonly ms: number;
  /** The same of the longest step. */
  readonly longestMs: number;
}

/** Makes something in steps, one after the other. */
export function inSteps<T>(steps: Generator<void, T>): StepCosts<T> {
  const first = threadMs();
  let longestMs = 0;
  for (;;) {
    const begun = threadMs();
    const step = steps.next();
    const now = threadMs();
    longestMs = Math.max(longestMs, now - begun);
    if (step.done === true) return { value: step.value, ms: now - first, longestMs };
  }
}
