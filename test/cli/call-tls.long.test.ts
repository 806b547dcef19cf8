import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { GrpcServer, HttpServer } from "../../src/index.ts";
import { seedLibrary } from "../../src/services/library/library-seed.ts";
import { LibraryService } from "../../src/services/library/library-service.ts";
import { createCertificate } from "../support/certificates.ts";
import { tsMs } from "../support/ts-ms.ts";

const scratch = mkdtempSync(join(tmpdir(), "ts-ms-call-tls-"));
const issuer = createCertificate({ name: "authority of the tests" });
const { cert, key } = createCertificate({ name: "books.test", hosts: ["books.test"], issuer });
const tls = { cert, key };
const grpc = new GrpcServer({ port: 0, host: "127.0.0.1", tls });
const http = new HttpServer({
  port: 0,
  host: "127.0.0.1",
  upstream: grpc,
  tls,
  allowedHosts: ["books.test"],
});
const ca = join(scratch, "ca.pem");
const targets: Record<"grpc" | "http", readonly string[]> = { grpc: [], http: [] };

before(async () => {
  writeFileSync(ca, issuer.cert);
  const library = new LibraryService(seedLibrary());
  grpc.addService(library);
  http.addService(library);
  await grpc.start();
  await http.start();
  targets.grpc = [`127.0.0.1:${grpc.address?.port}`];
  // A server without the console gives no contracts by HTTP.
  const contracts = ["--proto-path", "proto", "--proto", "library/v1/library.proto"];
  targets.http = [`https://127.0.0.1:${http.address?.port}`, ...contracts];
});
after(async () => {
  rmSync(scratch, { recursive: true, force: true });
  await Promise.all([http.gracefulStop(), grpc.gracefulStop()]);
});

for (const kind of ["grpc", "http"] as const) {
  const call = (...flags: readonly string[]) =>
    tsMs("call", ...targets[kind], "GetBook", "name=shelves/1/books/1", ...flags);

  suite(`a server whose certificate has another name than its address, over ${kind}`, () => {
    test("--authority NAME is the name that is asked for and verified", async () => {
      const { code, stdout, stderr } = await call("--grpc-ca", ca, "--authority", "books.test");
      assert.equal(code, 0, stderr);
      assert.match(stdout, /"title": "Dune"/);
    });

    test("without it the certificate is refused, and the error says the cure", async () => {
      const { code, stdout, stderr } = await call("--grpc-ca", ca);
      assert.notEqual(code, 0);
      assert.equal(stdout, "");
      assert.match(stderr, /give the name of its certificate by --authority NAME/);
    });

    test("another name is refused", async () => {
      const { code, stderr } = await call("--grpc-ca", ca, "--authority", "shelves.test");
      assert.notEqual(code, 0);
      assert.match(stderr, /--authority/);
    });

    test("a certificate of an unknown authority is refused, and --insecure takes it", async () => {
      const refused = await call("--grpc-tls", "--authority", "books.test");
      assert.notEqual(refused.code, 0);
      assert.match(refused.stderr, /certificate/);
      const { code, stdout, stderr } = await call("--insecure", "--authority", "books.test");
      assert.equal(code, 0, stderr);
      assert.match(stdout, /"title": "Dune"/);
    });
  });
}

test("--authority is the Host that a server sees", async () => {
  const { code, stderr } = await tsMs(
    "call",
    ...targets.http,
    "GetBook",
    "name=shelves/1/books/1",
    "--insecure",
  );
  assert.notEqual(code, 0);
  assert.match(stderr, /this server does not answer for the host of the request/);
});
