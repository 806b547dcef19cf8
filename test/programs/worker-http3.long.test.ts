import assert from "node:assert/strict";
import { test } from "node:test";
import { createCertificate } from "../support/certificates.ts";
import { Program } from "../support/program.ts";
import { TemporaryFiles } from "../support/temporary-files.ts";

/** Without bundles, which `npm test` makes, programs run beside the package. */
const skip = process.env["TEST_PROGRAMS"] === undefined;

test("a worker without the package of HTTP/3 says so, and the program ends", { skip }, async () => {
  await using files = await TemporaryFiles.create();
  const { cert, key } = createCertificate({ name: "localhost", hosts: ["localhost"] });
  await using program = new Program(
    "test/programs/fixtures/worker-program.ts",
    ...["--grpc-port=0", "--http-port=0", "--exporter-port=off", "--workers=2", "--http3-port=0"],
    `--tls-cert=${await files.write("cert.pem", cert)}`,
    `--tls-key=${await files.write("key.pem", key)}`,
  );
  const { code } = await program.exit();
  assert.equal(code, 1);
  assert.match(program.errors, /HTTP\/3 needs the package @currentspace\/http3/);
});
