import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { createCertificate } from "../support/certificates.ts";
import { bufCurl, curlJson, Program, run } from "../support/program.ts";

const rpc = "go.micro.service.goms.GoMs/Get";
const ports = ["--port=0", "--exporter-port=off"];

function tlsFiles(t: TestContext): { readonly folder: string; readonly flags: readonly string[] } {
  const folder = mkdtempSync(join(tmpdir(), "one-port-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { key, cert } = createCertificate({ name: "self", hosts: ["127.0.0.1"] });
  writeFileSync(join(folder, "key.pem"), key);
  writeFileSync(join(folder, "cert.pem"), cert);
  const flags = [`--tls-cert=${join(folder, "cert.pem")}`, `--tls-key=${join(folder, "key.pem")}`];
  return { folder, flags };
}

test("gateway --port serves gRPC and REST on one port", async () => {
  await using gateway = new Program("examples/gateway.ts", ...ports);
  const address = await gateway.address("HTTP");
  await gateway.line(/^Try: curl http:/);
  assert.ok(!gateway.lines.some((line) => line.startsWith("[GRPC] listening")));
  const { stdout } = await bufCurl(address, rpc, '{"id":"42"}');
  assert.deepEqual(JSON.parse(stdout), { message: "GoMs View" });
  for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
    assert.deepEqual(await curlJson(version, `http://${address}/goms/42`), [200, { message: "GoMs View" }]);
  }
  assert.equal((await gateway.stop()).code, 0);
});

test("gateway --port with a certificate serves both over TLS", async (t) => {
  const { folder, flags } = tlsFiles(t);
  await using gateway = new Program("examples/gateway.ts", ...ports, ...flags);
  const address = await gateway.address("HTTP");
  const ca = ["--cacert", join(folder, "cert.pem")];
  const buf = ["curl", "--protocol", "grpc", ...ca, "-d", '{"id":"42"}', `https://${address}/${rpc}`];
  const { stdout, stderr } = await run("buf", ...buf);
  assert.equal(stderr, "");
  assert.deepEqual(JSON.parse(stdout), { message: "GoMs View" });
  const [, command = ""] = await gateway.line(/^Try: curl (https:.*)$/);
  for (const version of ["--http1.1", "--http2"]) {
    const { code } = await run("curl", "-sSf", version, ...ca, command);
    assert.equal(code, 0);
  }
  assert.equal((await gateway.stop()).code, 0);
});

test("grpc-only and http-only over TLS, one behind the other", async (t) => {
  const { folder, flags } = tlsFiles(t);
  const cert = join(folder, "cert.pem");
  const exporter = "--exporter-port=off";
  await using server = new Program("examples/grpc-only.ts", "--grpc-port=0", exporter, ...flags);
  const port = (await server.address("GRPC")).split(":").at(-1) ?? "";
  const upstream = ["--grpc-port", port, "--grpc-ca", cert];
  await using gateway = new Program(
    "examples/http-only.ts",
    "--http-port=0",
    exporter,
    ...upstream,
    ...flags,
  );
  const address = await gateway.address("HTTP");
  const { stdout } = await run("curl", "-sSf", "--http2", "--cacert", cert, `https://${address}/goms/42`);
  assert.deepEqual(JSON.parse(stdout), { message: "GoMs View" });
});

test("flags that contradict each other are refused", async () => {
  await using gateway = new Program("examples/gateway.ts", "--port=0", "--grpc-port=0");
  assert.equal((await gateway.exit()).code, 2);
  assert.match(gateway.errors, /--port and --grpc-port exclude each other|--grpc-port and --port/);
});
