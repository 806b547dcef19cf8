import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Suite, SuiteResult } from "../suite.ts";
import { goTool } from "../tools.ts";
import { generateContract } from "./contract.ts";

const run = promisify(execFile);
const here = import.meta.dirname;

/** One run of Connect's own conformance suite. */
interface Run {
  readonly name: string;
  readonly mode: "server" | "client";
  /** Configuration of the suite, a file in this folder. */
  readonly config: string;
  /** The program under test and its arguments, which follow the folder of the contract. */
  readonly testee: readonly string[];
  /** The expected number of cases, so that missing ones are noticed. */
  readonly cases: number;
}

const runs: readonly Run[] = [
  {
    name: "connect-one-port",
    mode: "server",
    config: "server.yaml",
    testee: ["testee-server.ts", "one-port"],
    cases: 5554,
  },
  {
    name: "connect-gateway",
    mode: "server",
    config: "server.yaml",
    testee: ["testee-server.ts", "gateway"],
    cases: 5554,
  },
  {
    name: "connect-http3",
    mode: "server",
    config: "http3.yaml",
    testee: ["testee-server.ts", "http3"],
    cases: 770,
  },
  {
    name: "connect-grpc-server",
    mode: "server",
    config: "grpc.yaml",
    testee: ["testee-server.ts", "grpc"],
    cases: 570,
  },
  {
    name: "connect-grpc-server-grpc-js",
    mode: "server",
    config: "grpc.yaml",
    testee: ["testee-server.ts", "grpc-js"],
    cases: 570,
  },
  {
    name: "connect-grpc-client",
    mode: "client",
    config: "grpc.yaml",
    testee: ["testee-client.ts", "own"],
    cases: 646,
  },
  {
    name: "connect-grpc-client-node",
    mode: "client",
    config: "grpc.yaml",
    testee: ["testee-client.ts", "node"],
    cases: 646,
  },
];

/**
 * Connect's own conformance suite, against our servers and our client: Connect, gRPC-Web and gRPC over HTTP/1.1,
 * HTTP/2 and HTTP/3, with and without TLS and client certificates.
 */
export const connectConformance: readonly Suite[] = runs.map((one) => ({
  name: one.name,
  run: () => runSuite(one),
}));

let contract: Promise<string> | undefined;

async function runSuite({ mode, config, testee, cases }: Run): Promise<SuiteResult> {
  const tool = await goTool("connectconformance");
  const folder = await (contract ??= generateContract());
  const [program = "", ...words] = testee;
  const args = ["--mode", mode, "--conf", join(here, config), "-v", "--max-servers", "1"];
  if (mode === "server") args.push("-p", "4");
  args.push("--", process.execPath, join(here, program), folder, ...words);
  const { stdout, stderr } = await run(tool, args, { maxBuffer: 256 << 20, timeout: 600_000 }).catch(
    (error: unknown) => error as { stdout: string; stderr: string }, // Exits with 1 when a case fails.
  );
  return read(`${stdout}\n${stderr}`, cases);
}

function read(printed: string, cases: number): SuiteResult {
  const total = Number(/^Total cases: (\d+)$/m.exec(printed)?.[1]);
  const passed = Number(/^(\d+) passed, \d+ failed/m.exec(printed)?.[1]);
  if (!Number.isInteger(passed)) throw new Error(`the suite did not finish:\n${printed.slice(-4000)}`);
  const failures = [...printed.matchAll(/^FAILED: (.+):\n\t(.*)$/gm)].map(
    ([, name, why]) => `${name}: ${why}`,
  );
  const missing = cases - passed - failures.length;
  if (total !== cases) failures.push(`${total} cases were run, expected were ${cases}`);
  else if (missing > 0) failures.push(`${missing} cases, see the output of the suite`);
  return { passed, expectedFailures: 0, failures };
}
