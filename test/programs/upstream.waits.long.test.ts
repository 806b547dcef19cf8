import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { GrpcServer } from "../../src/index.ts";
import { GomsService } from "../../src/services/goms/goms-service.ts";
import { createCertificate } from "../support/certificates.ts";
import { curl, curlJson, Program } from "../support/program.ts";

const listen = ["--http-port=0", "--exporter-port=off"];

test("http-only calls an upstream over TLS, shows its certificate, and checks the other's name", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ts-ms-upstream-"));
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const authority = createCertificate({ name: "authority" });
  const server = createCertificate({ name: "server", hosts: ["goms.internal"], issuer: authority });
  const client = createCertificate({ name: "client", issuer: authority });
  const grpc = new GrpcServer({
    port: 0,
    tls: { key: server.key, cert: server.cert, ca: authority.cert, clientCertificates: "required" },
  });
  grpc.addService(new GomsService("goms"));
  await grpc.start();
  try {
    const good = [
      `--grpc-port=${grpc.address?.port}`,
      `--grpc-ca=${write("ca.pem", authority.cert)}`,
      `--grpc-cert=${write("client.pem", client.cert)}`,
      `--grpc-key=${write("client.key", client.key)}`,
    ];
    for (const [authorityName, expected] of [
      ["goms.internal", 200],
      ["other.internal", 503],
    ] as const) {
      await using program = new Program(
        "examples/http-only.ts",
        ...listen,
        ...good,
        "--grpc-tls",
        `--grpc-authority=${authorityName}`,
      );
      const http = `http://${await program.address("HTTP")}`;
      assert.equal((await curl(`${http}/goms/1`)).status, expected);
    }
  } finally {
    await grpc.gracefulStop({ graceMs: 0 });
    rmSync(folder, { recursive: true });
  }
});

test("http-only starts while its upstream is down, says so, and serves as soon as it is up", async () => {
  await using gone = new Program("examples/grpc-only.ts", "--grpc-port=0", "--exporter-port=off");
  const [, port] = (await gone.address("GRPC")).split(":");
  await gone.stop();
  await using program = new Program("examples/http-only.ts", ...listen, `--grpc-port=${port}`);
  const http = `http://${await program.address("HTTP")}`;
  assert.deepEqual(await curlJson(`${http}/readyz`), [503, { status: "NOT_SERVING" }]);
  const [status, error] = await curlJson(`${http}/goms/1`);
  assert.equal(status, 503);
  assert.partialDeepStrictEqual(error, { code: 14 });
  await using back = new Program("examples/grpc-only.ts", `--grpc-port=${port}`, "--exporter-port=off");
  await back.address("GRPC");
  for (let status = 0; status !== 200;) ({ status } = await curl(`${http}/goms/1`));
  assert.deepEqual(await curlJson(`${http}/readyz`), [200, { status: "SERVING" }]);
});
