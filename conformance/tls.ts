import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { GrpcServer, HttpServer } from "../src/index.ts";
import { tlsSuites } from "../src/core/net/tls-profile.ts";
import { createCertificate } from "../test/support/certificates.ts";
import { Checks, type Suite } from "./suite.ts";
import { Missing } from "./tools.ts";

const run = promisify(execFile);

/**
 * Findings of `testssl` that say nothing about the server: its certificate is of an authority that only this suite knows,
 * which publishes no revocations, and is in no public log.
 */
const ofTheCertificate: readonly string[] = [
  "cert_chain_of_trust",
  "cert_ocspRevoked",
  "cert_crlRevoked",
  "cert_revocation",
  "cert_trust",
  "certificate_transparency",
  "DNS_CAArecord",
  "OCSP_stapling",
  "cert_mustStapleExtension",
  "overall_grade",
  "grade_cap_reason_1",
];

/**
 * Findings about what is meant so: the client's order of suites decides, as all of them are good. The check
 * of resumption ends with a problem of the tool's own connection; `tls-hardening.test.ts` resumes sessions.
 */
const meantSo: readonly string[] = ["cipher_order", "sessionresumption_ticket"];

/** Findings that are answers of the application: it says by its option `security_headers` what pages are protected by. */
const ofTheApplication: readonly string[] = ["HSTS", "HSTS_time", "security_headers"];

/** Findings about the tool itself: Debian's OpenSSL has no suites of GOST to try. */
const ofTheTool: readonly string[] = ["engine_problem"];

const grave: readonly string[] = ["MEDIUM", "HIGH", "CRITICAL", "WARN", "FATAL"];

/** `sslscan` of Debian against both servers, and its `testssl` against one: no finding above LOW, no suite but those of the profile. */
export const tls: Suite = {
  name: "tls",
  slow: true,
  async run() {
    await needed("testssl", "testssl.sh");
    await needed("sslscan", "sslscan");
    const folder = mkdtempSync(join(tmpdir(), "tls-"));
    const authority = createCertificate({ name: "authority" });
    const { cert, key } = createCertificate({
      name: "localhost",
      hosts: ["localhost", "127.0.0.1"],
      issuer: authority,
    });
    const grpc = new GrpcServer({ port: 0, tls: { cert, key } });
    const http = new HttpServer({ port: 0, upstream: grpc, tls: { cert, key } });
    const strict = new GrpcServer({ port: 0, tls: { cert, key, minVersion: "1.3" } });
    const servers = [grpc, http, strict];
    for (const server of servers) await server.start();
    const checks = new Checks();
    try {
      const ca = join(folder, "ca.pem");
      writeFileSync(ca, authority.cert);
      for (const [name, server] of [
        ["GRPC", grpc],
        ["HTTP", http],
      ] as const) {
        const port = server.address?.port ?? 0;
        await checks.check(`sslscan against ${name}`, async () => {
          const { protocols, suites, renegotiates, compresses } = await scan(port);
          assert.deepEqual(protocols, ["tls 1.2", "tls 1.3"]);
          const older = suites.filter((suite) => !suite.startsWith("TLS_"));
          assert.deepEqual(
            older.toSorted(),
            tlsSuites.filter((suite) => suite.startsWith("ECDHE-ECDSA")).toSorted(),
          );
          assert.deepEqual([renegotiates, compresses], [false, false]);
        });
      }
      // It takes minutes; TLS of both servers is the same code.
      await checks.check("testssl", async () => {
        const all = await findings(http.address?.port ?? 0, ca, folder);
        assert.deepEqual(
          all.filter(({ severity }) => grave.includes(severity)),
          [],
        );
      });
      await checks.check("sslscan against a server of TLS 1.3 alone", async () => {
        const { protocols, suites } = await scan(strict.address?.port ?? 0);
        assert.deepEqual(protocols, ["tls 1.3"]);
        assert.ok(suites.length > 0 && suites.every((suite) => suite.startsWith("TLS_")));
      });
    } finally {
      for (const server of servers.reverse()) await server.gracefulStop({ graceMs: 0 });
      rmSync(folder, { recursive: true });
    }
    return checks.result;
  },
};

async function needed(command: string, debianPackage: string): Promise<void> {
  await run(command, ["--version"]).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT")
      throw new Missing(`${command} is not installed (apt-get install ${debianPackage})`);
  });
}

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

/** What `testssl` has found out, without what is known of this suite's certificate and application. */
async function findings(port: number, ca: string, folder: string): Promise<Finding[]> {
  const report = join(folder, `${port}.json`);
  const words = ["--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--add-ca", ca];
  const options = { timeout: 600_000, maxBuffer: 16 << 20 };
  // Its code is the number of findings.
  const ended = await run(
    "testssl",
    [...words, "--jsonfile", report, `https://localhost:${port}`],
    options,
  ).catch(
    (error: unknown) => error as { stdout: string; killed: boolean }, // What `execFile` rejects with.
  );
  assert.ok(!("killed" in ended && ended.killed), "testssl did not end");
  const all = JSON.parse(readFileSync(report, "utf8")) as Finding[]; // Its documented form.
  assert.ok(all.length > 100, `testssl has reported ${all.length} findings only: ${ended.stdout}`);
  const known = new Set([...ofTheCertificate, ...ofTheApplication, ...ofTheTool, ...meantSo]);
  return all.filter(({ id }) => !known.has(id.replace(/ <.*>$/, "")));
}

/** What `sslscan` has seen. */
async function scan(port: number) {
  const { stdout: xml } = await run("sslscan", ["--xml=-", `localhost:${port}`], { timeout: 120_000 });
  const of = (element: string): Map<string, string>[] =>
    [...xml.matchAll(new RegExp(`<${element} ([^>]*)/>`, "g"))].map(
      ([, attributes = ""]) =>
        new Map(
          [...attributes.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = "", value = ""]) => [name, value]),
        ),
    );
  return {
    protocols: of("protocol").flatMap((one) =>
      one.get("enabled") === "1"
        ? [`${one.get("type") === "tls" ? "tls" : "ssl"} ${one.get("version")}`]
        : [],
    ),
    suites: of("cipher").map((one) => one.get("cipher") ?? ""),
    renegotiates: of("renegotiation").some((one) => one.get("supported") === "1"),
    compresses: of("compression").some((one) => one.get("supported") === "1"),
  };
}
