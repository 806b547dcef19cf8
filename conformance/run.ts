import { autobahn } from "./autobahn/autobahn.ts";
import { commandLineTools } from "./command-line-tools.ts";
import { connectConformance } from "./connect/connect-conformance.ts";
import { edgeHttp3 } from "./edge-http3/edge-http3.ts";
import { envelope } from "./envelope/envelope.ts";
import { h2spec } from "./h2spec.ts";
import { brokers } from "./brokers/brokers.ts";
import { hubBrokers } from "./hub-brokers/hub-brokers.ts";
import { hpack } from "./hpack/hpack.ts";
import { consul } from "./consul.ts";
import { deploy } from "./deploy/deploy.ts";
import { dnsmasq } from "./dnsmasq.ts";
import { kubernetes } from "./kubernetes.ts";
import { http2Negative } from "./http2-negative/http2-negative.ts";
import { http2Servers } from "./http2-servers.ts";
import { grpcInterop, grpcJavaInterop } from "./interop/interop.ts";
import { loadSmoke } from "./load-smoke.ts";
import { mutatedFrames } from "./mutated-frames.ts";
import {
  protobufCodecConformance,
  protobufConformance,
  protobufNetworkConformance,
} from "./protobuf/protobuf-conformance.ts";
import { realClients } from "./real-clients/real-clients.ts";
import { prometheus } from "./prometheus/prometheus.ts";
import { pythonWebSockets } from "./python-websockets/python-websockets.ts";
import { rolling } from "./rolling/rolling.ts";
import { rotel } from "./rotel/rotel.ts";
import { graphqlHttp } from "./graphql-http.ts";
import { mcp } from "./mcp/mcp.ts";
import { fastmcp } from "./mcp-clients/fastmcp.ts";
import { mcpInspector } from "./mcp-clients/inspector.ts";
import { oneRoom } from "./one-room/one-room.ts";
import { mesh } from "./mesh/mesh.ts";
import { openapi } from "./openapi.ts";
import { openapiTypescript } from "./openapi-typescript.ts";
import { schemathesis } from "./schemathesis/schemathesis.ts";
import { showcase, showcaseClient } from "./showcase.ts";
import { signatures } from "./signatures/signatures.ts";
import { prism } from "./prism/prism.ts";
import { shellCompletion } from "./shells/shells.ts";
import type { Suite } from "./suite.ts";
import { extAuthzSuite } from "./ext-authz/ext-authz.ts";
import { Missing } from "./tools.ts";
import { tls } from "./tls.ts";
import { xds } from "./xds/xds.ts";

/**
 * Runs the conformance suites of other projects: `npm run conformance`; with `-- --all` the slow ones too, with names
 * only those.
 *
 * A suite with failed cases is run a second time, whose result counts, because its cases depend on real sockets and
 * clocks. Cases that failed only once are printed.
 *
 * Exits with 1 if a case failed, and where the environment variable `CI` is set also if a suite was skipped.
 */

/** Suites that mostly wait for what they start: they run beside one another. */
const besideOthers: readonly Suite[] = [
  openapiTypescript,
  hpack,
  openapi,
  commandLineTools,
  shellCompletion,
  protobufConformance,
  protobufNetworkConformance,
  protobufCodecConformance,
  autobahn,
  pythonWebSockets,
  oneRoom,
  http2Negative,
  http2Servers,
  h2spec,
  edgeHttp3,
  tls,
  signatures,
  envelope,
  prism,
  graphqlHttp,
  mcp,
  mcpInspector,
  fastmcp,
  showcase,
  showcaseClient,
  extAuthzSuite,
  deploy,
];

/** Suites that measure, watch deadlines, load the machine, or set variables of this process: one at a time. */
const alone: readonly Suite[] = [
  mutatedFrames,
  loadSmoke,
  schemathesis,
  consul,
  dnsmasq,
  hubBrokers,
  brokers,
  ...realClients,
  kubernetes,
  xds,
  mesh,
  rolling,
  prometheus,
  rotel,
  ...connectConformance,
  grpcInterop,
  grpcJavaInterop,
];

/** How many suites run beside one another. */
const lanes = 2;

const words = process.argv.slice(2);
const all = words.includes("--all");
const names = words.filter((word) => !word.startsWith("-"));
const suites = [...besideOthers, ...alone];
const unknown = names.filter((name) => !suites.some((suite) => suite.name === name));
if (unknown.length > 0) {
  console.error(
    `no suite is called ${unknown.join(", ")}; there are ${suites.map((s) => s.name).join(", ")}`,
  );
  process.exit(2);
}

let failed = 0;
let skipped = 0;
let passed = 0;
await runSuites(besideOthers, lanes);
await runSuites(alone, 1);
console.log(`conformance: ${passed} passed, ${failed} failed, ${skipped} skipped`);
const isCi = !["", "0", "false"].includes(process.env["CI"] ?? "");
if (skipped > 0 && isCi) console.log("A suite was skipped, which CI must not: this run counts as failed.");
if (failed > 0 || (skipped > 0 && isCi)) process.exitCode = 1;

/** Runs those suites that are asked for, so many at a time. */
async function runSuites(of: readonly Suite[], atATime: number): Promise<void> {
  const due = of.filter((suite) =>
    names.length > 0 ? names.includes(suite.name) : suite.slow !== true || all,
  );
  // The lanes take from the same iterator.
  const waiting = due.values();
  const lane = async (): Promise<void> => {
    for (const suite of waiting) await runSuite(suite);
  };
  await Promise.all(Array.from({ length: atATime }, lane));
}

/** Runs a suite, once more if cases failed; prints and counts its result. */
async function runSuite(suite: Suite): Promise<void> {
  const startedAt = performance.now();
  try {
    let result = await suite.run(all);
    if (result.failures.length > 0) {
      for (const failure of result.failures) console.log(`  FAILED ONCE ${failure}`);
      console.log(`${suite.name}: runs once more, since ${result.failures.length} failed`);
      result = await suite.run(all);
    }
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
    const expected = result.expectedFailures > 0 ? `, ${result.expectedFailures} failed as argued` : "";
    console.log(
      `${suite.name}: ${result.passed} passed, ${result.failures.length} failed${expected} (${seconds} s)`,
    );
    for (const failure of result.failures) console.log(`  FAILED ${failure}`);
    passed += result.passed;
    failed += result.failures.length;
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    console.log(`${suite.name}: SKIPPED, ${error.message}`);
    skipped += 1;
  }
}
