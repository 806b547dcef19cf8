import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, suite, test } from "node:test";
import { satisfies } from "../../src/cli/doctor/package-copies.ts";
import { GrpcServer } from "../../src/index.ts";
import { seedLibrary } from "../../src/services/library/library-seed.ts";
import { LibraryService } from "../../src/services/library/library-service.ts";
import { createCertificate } from "../support/certificates.ts";
import { tsMs, tsMsWith } from "../support/ts-ms.ts";

const scratch = mkdtempSync(join(tmpdir(), "ts-ms-doctor-"));
const plain = new GrpcServer({ port: 0, host: "127.0.0.1" });
const authority = createCertificate({ name: "doctor authority" });
const leaf = createCertificate({
  name: "localhost",
  hosts: ["localhost", "127.0.0.1"],
  issuer: authority,
  validDays: [-1, 9],
});
const secure = new GrpcServer({
  port: 0,
  host: "127.0.0.1",
  tls: { cert: leaf.cert, key: leaf.key },
  reflection: false,
});
const late = createHttpServer((_, response) => {
  response.setHeader("date", new Date(Date.now() - 3_600_000).toUTCString());
  response.writeHead(503).end();
});
const ca = join(scratch, "ca.pem");

before(async () => {
  writeFileSync(ca, authority.cert);
  plain.addService(new LibraryService(seedLibrary()));
  await Promise.all([plain.start(), secure.start()]);
  await once(late.listen(0, "127.0.0.1"), "listening");
});
after(async () => {
  rmSync(scratch, { recursive: true, force: true });
  late.close();
  await Promise.all([plain.gracefulStop(), secure.gracefulStop()]);
});

interface Finding {
  readonly name: string;
  readonly state: string;
  readonly text: string;
  readonly cure?: string;
  readonly ms: number;
}

/** What `doctor --json` found, by what it looked at, and its exit code. */
async function findings(cwd: string, ...args: readonly string[]) {
  const { code, stdout, stderr } = await tsMsWith({ cwd }, "doctor", "--json", ...args);
  assert.ok(stdout.startsWith("["), stderr);
  const list = JSON.parse(stdout) as Finding[];
  for (const { ms } of list) assert.ok(ms >= 0);
  return { code, found: Object.fromEntries(list.map((finding) => [finding.name, finding])) };
}

suite("a server", () => {
  const port = (server: GrpcServer): string => `127.0.0.1:${server.address?.port}`;

  test("that is well: name, connection, plain text, health, reflection", async () => {
    const { code, stdout } = await tsMs("doctor", port(plain));
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^ok +name +127\.0\.0\.1 is an address {2}\([\d.]+ ms\)$/m);
    assert.match(stdout, /^ok +tls +plain text/m);
    assert.match(stdout, /^ok +health +SERVING/m);
    assert.match(stdout, /^ok +reflection +library\.v1\.LibraryService/m);
    assert.match(stdout, /^ok +clock /m);
  });

  test("whose certificate ends soon and that has no reflection", async () => {
    const { code, found } = await findings(".", port(secure), "--grpc-ca", ca);
    assert.equal(code, 0);
    assert.match(found["tls"]?.text ?? "", /^TLSv1\.3, ALPN h2; the certificate ends in [89] days$/);
    assert.deepEqual([found["tls"]?.state, found["reflection"]?.state], ["warn", "warn"]);
    assert.match(found["reflection"]?.text ?? "", /--proto FILE or --descriptors FILE/);
  });

  const broken: readonly (readonly [string, () => readonly string[], string, RegExp])[] = [
    ["is not there", () => ["127.0.0.1:1"], "connect", /nothing listens there/],
    ["has no name in DNS", () => ["nonsuch.invalid:1"], "name", /check the name/],
    ["speaks TLS", () => [port(secure)], "tls", /^add --grpc-tls$/],
    ["is not trusted", () => [port(secure), "--grpc-tls"], "tls", /--grpc-ca FILE/],
    ["speaks plain text", () => [port(plain), "--grpc-tls"], "tls", /leave out --grpc-tls/],
    [
      "is not ready",
      () => [`http://127.0.0.1:${(late.address() as AddressInfo).port}`],
      "health",
      /its log says why/,
    ],
  ];
  for (const [name, args, at, cure] of broken) {
    test(`that ${name}`, async () => {
      const { code, found } = await findings(".", ...args());
      assert.equal(code, 1);
      assert.equal(found[at]?.state, "broken");
      assert.match(found[at]?.cure ?? "", cure);
      if (name === "is not ready") assert.match(found["clock"]?.text ?? "", /^3[56]\d\d s behind$/);
    });
  }
});

suite("a project", () => {
  const folder = join(scratch, "project");
  const write = (file: string, text: string): string => {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
    return join(folder, file);
  };
  const install = (path: string, version: string): string =>
    write(join("node_modules", path, "package.json"), JSON.stringify({ version }));

  test("that is broken in every way, and what to do", async () => {
    write("package.json", JSON.stringify({ name: "x", dependencies: { missing: "1.0.0" } }));
    write("tsconfig.json", '{"compilerOptions": {"verbatimModuleSyntax": true}}');
    write("buf.gen.yaml", "version: v2\n");
    install("@bufbuild/protobuf", "2.17.0");
    install("other/node_modules/@bufbuild/protobuf", "2.1.0");
    write("gen/a_pb.ts", "");
    const newer = write("proto/a.proto", "");
    const inAnHour = Date.now() / 1000 + 3600;
    utimesSync(newer, inAnHour, inAnHour);
    const { code, found } = await findings(folder);
    assert.equal(code, 1);
    const brief = Object.fromEntries(
      Object.values(found).map(({ name, state, cure }) => [name, [state, cure]]),
    );
    assert.partialDeepStrictEqual(brief, {
      node: ["ok", undefined],
      "module type": ["warn", 'npm pkg set type="module"'],
      types: ["warn", 'add "erasableSyntaxOnly": true to compilerOptions'],
      packages: ["broken", "npm install"],
      copies: ["broken", "npm dedupe, or npm install @bufbuild/protobuf@latest"],
      gen: ["broken", "npx buf generate"],
    });
    assert.match(
      found["copies"]?.text ?? "",
      /node_modules\/@bufbuild\/protobuf \(2\.17\.0\), node_modules\/other\/node_modules\/@bufbuild\/protobuf \(2\.1\.0\)/,
    );
    assert.match(found["packages"]?.text ?? "", /not installed: missing/);
  });

  test("whose set of comments is old; buf, and ports that are taken with the process that has them", async () => {
    write("gen/contract.binpb", "");
    utimesSync(join(folder, "gen/contract.binpb"), 1, 1);
    const { found } = await findings(folder);
    const { state, text, cure } = found["gen/contract.binpb"] ?? assert.fail();
    assert.deepEqual(
      [state, text, cure],
      ["broken", "older than proto/", "npx buf build -o gen/contract.binpb"],
    );
    rmSync(join(folder, "gen/contract.binpb"));
    assert.ok(found["buf"]);
    for (const name of ["HTTP 8080", "gRPC 42001", "metrics 4242"]) {
      const port = found[name] ?? assert.fail(name);
      assert.match(port.text, port.state === "ok" ? /^free$/ : /^taken by (?:a process|process \d+ \(.+\))$/);
    }
  });

  test("whose peer is of a wrong version", async () => {
    write("package.json", JSON.stringify({ name: "x", type: "module" }));
    install("@bufbuild/protobuf", "1.10.0");
    const { found } = await findings(folder);
    assert.match(
      found["packages"]?.text ?? "",
      /ts-ms needs @bufbuild\/protobuf@\^2\.17\.0 \(there is 1\.10\.0\)/,
    );
    assert.match(found["packages"]?.cure ?? "", /^npm install .*"@bufbuild\/protobuf@\^2\.17\.0"/);
  });

  test("--fix generates what is out of date", async () => {
    write(
      "node_modules/.bin/buf",
      '#!/bin/sh\nmkdir -p gen && touch -d "2 hours" gen/b_pb.ts && echo "generated" >&2\n',
    );
    const { chmodSync } = await import("node:fs");
    chmodSync(join(folder, "node_modules/.bin/buf"), 0o755);
    const { found } = await findings(folder, "--fix");
    assert.deepEqual([found["gen"]?.state, found["gen"]?.text], ["ok", "newer than proto/, after a fix"]);
  });

  test("a folder without one", async () => {
    const { code, stderr } = await tsMsWith({ cwd: "/" }, "doctor");
    assert.equal(code, 1);
    assert.match(stderr, /there is no package\.json in \/ or above: ts-ms new DIR makes a project/);
  });
});

test("ranges of versions", () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ["2.17.0", "^2.17.0", true],
    ["2.18.1", "^2.17.0", true],
    ["3.0.0", "^2.17.0", false],
    ["2.16.9", "^2.17.0", false],
    ["0.3.9", "^0.3.0", true],
    ["0.4.0", "^0.3.0", false],
    ["17.1.0", ">=16.11.0 <18.0.0", true],
    ["18.0.0", ">=16.11.0 <18.0.0", false],
    ["1.2.3", "1.2.3", true],
    ["1.2.4", "1.2.3", false],
  ];
  for (const [version, range, expected] of cases)
    assert.equal(satisfies(version, range), expected, `${version} ${range}`);
});
