import { autobahn } from "./autobahn/autobahn.ts";
import { commandLineTools } from "./command-line-tools.ts";
import { connectConformance } from "./connect/connect-conformance.ts";
import { envelope } from "./envelope/envelope.ts";
import { h2spec } from "./h2spec.ts";
import { hpack } from "./hpack/hpack.ts";
import { consul } from "./consul.ts";
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
import { rotel } from "./rotel/rotel.ts";
import { graphqlHttp } from "./graphql-http.ts";
import { mcp } from "./mcp/mcp.ts";
import { fastmcp } from "./mcp-clients/fastmcp.ts";
import { mcpInspector } from "./mcp-clients/inspector.ts";
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
 * Exits with 1 if a case failed, and in CI also if a suite was skipped.
 */
const suites: readonly Suite[] = [
  commandLineTools,
  shellCompletion,
  protobufConformance,
  protobufNetworkConformance,
  protobufCodecConformance,
  autobahn,
  pythonWebSockets,
  hpack,
  http2Negative,
  http2Servers,
  mutatedFrames,
  h2spec,
  loadSmoke,
  tls,
  signatures,
  envelope,
  openapi,
  openapiTypescript,
  prism,
  schemathesis,
  graphqlHttp,
  mcp,
  mcpInspector,
  fastmcp,
  showcase,
  consul,
  dnsmasq,
  ...realClients,
  kubernetes,
  xds,
  extAuthzSuite,
  prometheus,
  rotel,
  showcaseClient,
  ...connectConformance,
  grpcInterop,
  grpcJavaInterop,
];

const words = process.argv.slice(2);
const all = words.includes("--all");
const names = words.filter((word) => !word.startsWith("-"));
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
for (const suite of suites) {
  if (names.length > 0 ? !names.includes(suite.name) : suite.slow === true && !all) continue;
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
console.log(`conformance: ${passed} passed, ${failed} failed, ${skipped} skipped`);
if (failed > 0 || (skipped > 0 && process.env["CI"] === "true")) process.exitCode = 1;
