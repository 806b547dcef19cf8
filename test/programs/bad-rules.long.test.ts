import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { DescService } from "@bufbuild/protobuf";
import { protoSource } from "../../src/entries/schema.ts";
import { GrpcServer, HttpServer, service, type ServiceImpl } from "../../src/index.ts";
import { curl, curlJson, Program, programFile, run } from "../support/program.ts";

const contract = `
  syntax = "proto3";
  package c;
  import "google/api/annotations.proto";
  service C {
    rpc ByBytes(B) returns (B) { option (google.api.http) = {get: "/addr/{bytes}"}; }
    rpc ByText(T) returns (T) {
      option (google.api.http) = {get: "/addr/{text}" additional_bindings {get: "/text/{text}"}};
    }
    rpc Docs(D) returns (D) { option (google.api.http) = {get: "/docs/{parent=dbs/*/**}/{kind}"}; }
    rpc Check(R) returns (R) { option (google.api.http) = {post: "/repos/{repo}/check" body: "repo"}; }
    rpc Live(T) returns (T) { option (google.api.http) = {get: "/livez"}; }
    rpc Fine(T) returns (T) { option (google.api.http) = {get: "/fine/{text}"}; }
  }
  message B { bytes bytes = 1; }
  message T { string text = 1; }
  message D { string parent = 1; string kind = 2; }
  message R { string repo = 1; }`;

const folder = mkdtempSync(join(tmpdir(), "ts-ms-bad-rules-"));
const file = join(folder, "c.proto");
let grpc: GrpcServer;
let desc: DescService;
let flags: string[];

before(async () => {
  writeFileSync(file, contract);
  const [loaded] = (await protoSource([file]).load(new AbortController().signal)).services;
  desc = loaded ?? assert.fail("no service");
  const same = (message: object) => message;
  const impl = { byBytes: same, byText: same, docs: same, check: same, live: same, fine: same };
  grpc = new GrpcServer({ port: 0 }).addService(service(desc, impl as unknown as ServiceImpl<DescService>));
  await grpc.start();
  flags = [`--grpc-port=${grpc.address?.port}`, "--http-port=0", "--exporter-port=off", "--proto", file];
});
after(async () => {
  await grpc.gracefulStop({ graceMs: 0 });
  rmSync(folder, { recursive: true });
});

const refusals = [
  /route GET "\/docs\/\{parent=dbs\/\*\/\*\*\}\/\{kind\}" of c\.C\.Docs \(c\.proto\): .*"\*\*"/,
  /route POST "\/repos\/\{repo\}\/check" of c\.C\.Check \(c\.proto\): body "repo": the path binds this field already/,
  /\/addr\/\{bytes\} of c\.C\.ByBytes \(c\.proto\) and route GET \/addr\/\{text\} of c\.C\.ByText \(c\.proto\) match the same requests/,
  /route GET \/livez of c\.C\.Live \(c\.proto\): the gateway serves \/livez itself/,
];

test("T28: rules that are refused are told all at once, with the way out", async () => {
  const { code, stderr } = await run(process.execPath, programFile("examples/http-only.ts"), ...flags);
  assert.equal(code, 1);
  assert.match(stderr, /4 HTTP rules cannot be served:/);
  for (const refusal of refusals) assert.match(stderr, refusal);
  assert.match(stderr, /--rules.*--on-bad-rule skip/);
  assert.doesNotMatch(stderr, /^\s+at /m);
});

test("--on-bad-rule skip leaves those bindings out, with a warning each, and serves the rest", async () => {
  await using gateway = new Program("examples/http-only.ts", ...flags, "--on-bad-rule=skip");
  const http = `http://${await gateway.address("HTTP")}`;
  assert.deepEqual(await curlJson(`${http}/fine/a`), [200, { text: "a" }]);
  // The first of two that clash is served; the other rpc keeps its other binding.
  assert.deepEqual(await curlJson(`${http}/addr/MQ`), [200, { bytes: "MQ==" }]);
  assert.deepEqual(await curlJson(`${http}/text/a`), [200, { text: "a" }]);
  assert.equal((await curl(`${http}/docs/dbs/a/b/c`)).status, 404);
  const json = ["-H", "content-type: application/json", "-d"];
  assert.deepEqual(await curlJson(`${http}/c.C/Docs`, ...json, '{"kind":"k"}'), [
    200,
    { parent: "", kind: "k" },
  ]);
  assert.equal((await curl(`${http}/livez`)).body, '{"status":"SERVING"}');
  for (const refusal of refusals) assert.match(gateway.errors.replaceAll('\\"', '"'), refusal);
  assert.match(gateway.errors, /the first of the two is served/);
  assert.equal(gateway.errors.match(/HTTP rule left out/g)?.length, 4);
});

test("--rules takes bindings away by a selector alone", async () => {
  const rules = join(folder, "rules.yaml");
  writeFileSync(
    rules,
    `http:
  rules:
  - selector: c.C.Docs
  - selector: c.C.Check,c.C.Live
  - selector: c.C.ByBytes
`,
  );
  await using gateway = new Program("examples/http-only.ts", ...flags, "--rules", rules);
  const http = `http://${await gateway.address("HTTP")}`;
  assert.deepEqual(await curlJson(`${http}/addr/a`), [200, { text: "a" }]);
  assert.equal((await curl(`${http}/docs/a`)).status, 404);
  const json = ["-H", "content-type: application/json", "-d"];
  assert.deepEqual(await curlJson(`${http}/c.C/Check`, ...json, '{"repo":"r"}'), [200, { repo: "r" }]);
  await gateway.line(/^\[HTTP\] POST \/c\.C\/Docs → c\.C\/Docs$/);
});

test("rules outside the contract win over its annotations where both match, and unknown selectors are skipped", async () => {
  const rules = join(folder, "winning.yaml");
  writeFileSync(
    rules,
    "http: { rules: [{ selector: c.C.Fine, get: '/addr/{text}' }, { selector: c.C.Gone, get: /x }] }",
  );
  await using gateway = new Program(
    "examples/http-only.ts",
    ...flags,
    "--rules",
    rules,
    "--on-bad-rule=skip",
  );
  const http = `http://${await gateway.address("HTTP")}`;
  assert.deepEqual(await curlJson(`${http}/addr/a`), [200, { text: "a" }]);
  await gateway.error(/selector \\"c\.C\.Gone\\" matches no rpc/);
});

test("an HttpServer of one's own is strict unless told otherwise", () => {
  assert.throws(() => new HttpServer({ upstream: grpc }).addService(desc), /4 HTTP rules cannot be served:/);
  const skipped: string[] = [];
  const http = new HttpServer({
    upstream: grpc,
    onBadRule: "skip",
    onSkippedRule: (message) => skipped.push(message),
  });
  http.addService(desc);
  assert.equal(skipped.length, 4);
});

test("the command that is suggested works, whatever contract is served", async () => {
  await using gateway = new Program("examples/http-only.ts", ...flags, "--on-bad-rule=skip");
  const [, url = ""] = await gateway.line(/^Try: curl (\S+)$/);
  assert.equal((await curl(url)).status, 200);
});

test("without a GET nothing is suggested, and with --reflection only once there are routes", async () => {
  const noGet = join(folder, "no-get.proto");
  writeFileSync(noGet, 'syntax = "proto3"; package n; message M {} service N { rpc Do(M) returns (M); }');
  const [port = ""] = flags;
  const listen = ["--http-port=0", "--exporter-port=off"];
  await using without = new Program("examples/http-only.ts", port, ...listen, "--proto", noGet);
  await without.line(/^\[HTTP\] calling/);
  assert.equal((await without.stop()).code, 0);
  assert.doesNotMatch(without.lines.join("\n"), /Try:/);

  await using reflected = new Program(
    "examples/http-only.ts",
    port,
    ...listen,
    "--reflection",
    "--on-bad-rule=skip",
  );
  const [, url = ""] = await reflected.line(/^Try: curl (\S+)$/);
  assert.ok(
    reflected.lines.findIndex((line) => line.startsWith("Try:")) >
      reflected.lines.findIndex((line) => line.includes("→")),
  );
  assert.equal((await curl(url)).status, 200);
});
