import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { GrpcServer, HttpServer } from "../src/index.ts";
import type { Suite, SuiteResult } from "./suite.ts";
import { goTool } from "./tools.ts";

const run = promisify(execFile);

/** What Node's own HTTP/2 server (nghttp2) fails; by section and number of the test. */
const ofNode: readonly string[] = [
  // Frames on closed streams are ignored where the RFC wants an error: nobody but their sender is the worse for it.
  "http2/5.1 8",
  "http2/5.1 9",
  "http2/5.1 11",
  "http2/5.1 12",
  // A stream id lower than the last is ignored, not an error of the connection.
  "http2/5.1.1 2",
  // Priorities are not read at all; RFC 9113 deprecates them.
  "http2/5.3.1 2",
  "http2/6.3 1",
  // A PING with ACK that nobody asked for is ignored.
  "http2/6.7 2",
  // The connection, not the stream, ends when a stream's window overflows.
  "http2/6.9.1 3",
];

const ofHttp: readonly string[] = [
  // On a port without TLS, what is no HTTP/2 preface is a broken HTTP/1.1 request: 400, then the close.
  "http2/3.5 2",
  // A request that is complete is answered, which closes its stream: a frame that comes after that is ignored by Node,
  // as above. Which of them is first depends on how fast they are.
  "http2/5.1 5",
  "http2/5.1 6",
];

/**
 * GET, which the tests send, is 405 without a body to gRPC, where they want DATA, or a stream that is still open when
 * the next frame comes: that depends on how fast they are.
 */
const ofGrpc = [
  "generic/2 2",
  "generic/2 3",
  "http2/5.1 5",
  "http2/5.1 6",
  "http2/5.1.2 1",
  "http2/8.1 1",
  "http2/8.1.2.1 3",
  "http2/8.1.2.6 1",
  "http2/8.1.2.6 2",
];

/** `h2spec` against both servers: what fails besides what Node fails is ours. */
export const h2spec: Suite = {
  name: "h2spec",
  async run(): Promise<SuiteResult> {
    const tool = await goTool("h2spec");
    const grpc = new GrpcServer({ port: 0 });
    const http = new HttpServer({ port: 0, upstream: grpc });
    // Reads what it is sent before it answers: an answer that comes earlier ends the stream under test.
    const { fastify } = http;
    fastify.addContentTypeParser("*", { parseAs: "string" }, (_request, body, done) => done(null, body));
    fastify.route({ method: ["GET", "POST"], url: "/h2spec", handler: () => Promise.resolve("hello") });
    await grpc.start();
    await http.start();
    try {
      const results = [
        await checkRepeatedly(() => check(tool, "GRPC", grpc.address?.port, [], [...ofNode, ...ofGrpc])),
        await checkRepeatedly(() =>
          check(tool, "HTTP", http.address?.port, ["-P", "/h2spec"], [...ofNode, ...ofHttp]),
        ),
      ];
      return {
        passed: results.reduce((sum, { passed }) => sum + passed, 0),
        expectedFailures: results.reduce((sum, { expectedFailures }) => sum + expectedFailures, 0),
        failures: results.flatMap(({ failures }) => failures),
      };
    } finally {
      await http.gracefulStop({ graceMs: 0 });
      await grpc.gracefulStop({ graceMs: 0 });
    }
  },
};

/**
 * Runs a check again while something fails, at most three times: what fails now and then is a race between the answer
 * and the frame under test, what fails every time is wrong.
 */
async function checkRepeatedly(once: () => Promise<SuiteResult>): Promise<SuiteResult> {
  let result = await once();
  for (let again = 0; again < 2 && result.failures.length > 0; again++) {
    const before = result.failures;
    const next = await once();
    result = { ...next, failures: next.failures.filter((name) => before.includes(name)) };
  }
  return result;
}

async function check(
  tool: string,
  server: string,
  port: number | undefined,
  words: readonly string[],
  expected: readonly string[],
): Promise<SuiteResult> {
  const folder = mkdtempSync(join(tmpdir(), "h2spec-"));
  try {
    const report = join(folder, "report.xml");
    const args = ["-h", "127.0.0.1", "-p", String(port), "-S", "-o", "2", "-j", report, ...words];
    await run(tool, args, { timeout: 120_000, encoding: "latin1" }).catch(() => {}); // 1 as soon as a test fails.
    const cases = readReport(readFileSync(report, "utf8"));
    const failed = cases.filter(({ outcome }) => outcome === "failed").map(({ name }) => name);
    const failures = failed.filter((name) => !expected.includes(name)).map((name) => `${server} ${name}`);
    // Fewer cases than there are mean that the server was gone.
    if (cases.length !== 146) failures.push(`${server}: ${cases.length} of 146 tests ran`);
    return {
      passed: cases.filter(({ outcome }) => outcome === "passed").length,
      expectedFailures: failed.filter((name) => expected.includes(name)).length,
      failures,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Case {
  /** Section and number, such as `http2/5.1 8`. */
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
}

/** The cases of a report in the format of JUnit, whose texts hold any bytes. */
function readReport(xml: string): Case[] {
  const numbers = new Map<string, number>();
  return xml
    .split("<testcase ")
    .slice(1)
    .map((text) => {
      const section = /^package="([^"]*)"/.exec(text)?.[1] ?? "";
      const number = (numbers.get(section) ?? 0) + 1;
      numbers.set(section, number);
      const failed = text.includes("<failure") || text.includes("<error");
      const outcome = failed ? "failed" : text.includes("<skipped") ? "skipped" : "passed";
      return { name: `${section} ${number}`, outcome };
    });
}
