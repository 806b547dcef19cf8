import type { DescService } from "@bufbuild/protobuf";
import { connectionEngines } from "../../src/core/http2/connection-options.ts";
import type { Checks } from "../suite.ts";
import { clientCases } from "./client-cases.ts";

/** Runs all cases of the interop suite by our client, over each engine, against a server. */
export async function runOurClient(
  checks: Checks,
  server: string,
  target: string,
  contract: DescService,
): Promise<void> {
  for (const engine of connectionEngines) {
    for (const [test, body] of Object.entries(clientCases)) {
      await checks.check(`our client (${engine}) on ${server}: ${test}`, () =>
        body(target, contract, { engine }),
      );
    }
  }
}
