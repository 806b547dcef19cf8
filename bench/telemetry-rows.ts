import { mkdtemp, rm } from "node:fs/promises";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runDuel } from "./duel.ts";
import { overHttp } from "./over-wire.ts";
import type { Measured, Rig, Row } from "./rig.ts";
import { send } from "./works.ts";

const file = "observed-gateway.ts";

/** The gateway with something that observes calls, before the same without. */
function observed(rig: Rig, ...args: readonly string[]): Promise<Measured> {
  return runDuel({ subject: { file, args }, reference: { file, args: ["off"] }, ...overHttp(send) }, rig);
}

/** The collector is in the process of the load, on the other core; it reads spans and forgets them. */
async function traced(rig: Rig, ratio: number): Promise<Measured> {
  const collector = createServer((request, response) => {
    request.resume().on("end", () => response.setHeader("content-type", "application/json").end("{}"));
  });
  collector.listen(0, "127.0.0.1");
  await once(collector, "listening");
  const { port } = collector.address() as AddressInfo; // It listens on TCP.
  try {
    return await observed(rig, "traced", String(ratio), `http://127.0.0.1:${port}`);
  } finally {
    collector.close();
    collector.closeAllConnections();
  }
}

async function logged(rig: Rig): Promise<Measured> {
  const folder = await mkdtemp(join(tmpdir(), "ts-ms-access-log-"));
  try {
    return await observed(rig, "access-log", join(folder, "access.log"));
  } finally {
    await rm(folder, { recursive: true });
  }
}

const common = {
  work: "REST → handler in process, small POST",
  reference: "the same without",
  better: "higher",
} as const;

/** What traces and the access log cost a call. */
export const telemetryRows: readonly Row[] = [
  ...(
    [
      ["o5a", 0, 0.95, 0.98],
      ["o5b", 0.1, 0.9, 0.94],
      ["o5c", 1, 0.7, 0.8],
    ] as const
  ).map(([id, ratio, must, aim]): Row => ({
    ...common,
    id,
    subject: `gateway with traces, ${ratio * 100} % of them sampled`,
    must,
    aim,
    measure: (rig) => traced(rig, ratio),
  })),
  {
    ...common,
    id: "o6",
    subject: "gateway with an access log of JSON in a file",
    must: 0.88,
    aim: 0.94,
    measure: logged,
  },
];
