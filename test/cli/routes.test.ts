import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { GrpcServer } from "../../src/index.ts";
import { seedLibrary } from "../../src/services/library/library-seed.ts";
import { LibraryService } from "../../src/services/library/library-service.ts";
import { tsMs } from "../support/ts-ms.ts";

const scratch = mkdtempSync(join(tmpdir(), "ts-ms-routes-"));
const server = new GrpcServer({ port: 0, host: "127.0.0.1" });
const silent = new GrpcServer({ port: 0, host: "127.0.0.1", reflection: false });
let target = "";

before(async () => {
  server.addService(new LibraryService(seedLibrary()));
  await Promise.all([server.start(), silent.start()]);
  target = `127.0.0.1:${server.address?.port}`;
});
after(async () => {
  rmSync(scratch, { recursive: true, force: true });
  await Promise.all([server.gracefulStop(), silent.gracefulStop()]);
});

const library = ["--proto-path", "proto", "--proto", "library/v1/library.proto"];

test("routes of sources and of a server's reflection are the same table", async () => {
  const sources = await tsMs("routes", ...library);
  assert.deepEqual([sources.code, sources.stderr], [0, ""]);
  assert.match(
    sources.stdout,
    /^GET +\/v1\/\{name=shelves\/\*\} +library\.v1\.LibraryService\/GetShelf +reply shelf$/m,
  );
  assert.match(sources.stdout, /^GET +\S+:watch +\S+WatchBooks +server streaming$/m);
  assert.deepEqual(await tsMs("routes", target), sources);
});

test("--json has everything of every route, with the implicit ones", async () => {
  const { code, stdout } = await tsMs("routes", ...library, "--json");
  assert.equal(code, 0);
  const routes = JSON.parse(stdout) as { rpc: string; implicit: boolean }[];
  assert.deepEqual(
    routes.find(({ rpc, implicit }) => rpc.endsWith("/UpdateBook") && !implicit),
    {
      method: "PATCH",
      path: "/v1/{book.name=shelves/*/books/*}",
      rpc: "library.v1.LibraryService/UpdateBook",
      kind: "unary",
      body: "book",
      responseBody: "book",
      variables: ["book.name"],
      source: "library/v1/library.proto",
      implicit: false,
    },
  );
  assert.ok(routes.some(({ rpc, implicit }) => rpc.endsWith("/UpdateBook") && implicit));
});

test("--rules replace those of contracts; a clash names both rpcs, and nothing is listed", async () => {
  const file = join(scratch, "rules.yaml");
  const rule = (path: string): string =>
    `type: google.api.Service\nhttp:\n  rules:\n    - selector: library.v1.LibraryService.GetShelf\n      get: ${path}\n`;
  writeFileSync(file, rule('"/v2/{name=racks/*}"'));
  const good = await tsMs("routes", ...library, "--rules", file);
  assert.equal(good.code, 0);
  assert.match(good.stdout, /^GET +\/v2\/\{name=racks\/\*\} +library\.v1\.LibraryService\/GetShelf$/m);
  writeFileSync(file, rule('"/v1/shelves"'));
  const clash = await tsMs("routes", ...library, "--rules", file);
  assert.deepEqual([clash.code, clash.stdout], [1, ""]);
  assert.match(clash.stderr, /ListShelves/);
  assert.match(clash.stderr, /GetShelf/);
  assert.ok(clash.stderr.includes(`${file}:4:`), clash.stderr);
});

suite("--match", () => {
  const cases: readonly (readonly [string, number, RegExp])[] = [
    [
      "GET /v1/shelves/1/books/2?x=1",
      0,
      /^GET \/v1\/\{name=shelves\/\*\/books\/\*\} {2}library\.v1\.LibraryService\/GetBook .*\n {2}name = shelves\/1\/books\/2\n$/,
    ],
    ["get /v1/shelves", 0, /ListShelves/],
    ["PUT /v1/shelves", 1, /^405: \/v1\/shelves has no PUT, it has GET, HEAD, OPTIONS, POST\n$/],
    ["GET /v2", 1, /^404: no route has the path \/v2/],
    ["GET /v1/shelves/%zz", 1, /^400: /],
    [
      "/v1/shelves",
      2,
      /--match takes a method and a path, such as 'GET \/v1\/shelves\/1', not \/v1\/shelves/,
    ],
  ];
  for (const [request, code, expected] of cases) {
    test(request, async () => {
      const result = await tsMs("routes", ...library, "--match", request);
      assert.equal(result.code, code, result.stderr);
      assert.match(code === 0 ? result.stdout : result.stderr, expected);
    });
  }
  test("as JSON, with the values of the path", async () => {
    const { stdout } = await tsMs("routes", ...library, "--json", "--match", "GET /v1/shelves/a%20b");
    const { values } = JSON.parse(stdout) as { values: object };
    assert.deepEqual(values, { name: "shelves/a b" });
  });
});

suite("a target that gives no contracts", () => {
  test("is asked why: nothing listens there", async () => {
    const { code, stderr } = await tsMs("routes", "127.0.0.1:1");
    assert.equal(code, 1);
    assert.match(stderr, /127\.0\.0\.1:1 gives no contracts: UNAVAILABLE: .*ECONNREFUSED/);
    assert.match(stderr, /nothing listens there; is it running\? ts-ms doctor 127\.0\.0\.1:1\n/);
  });
  test("has no reflection", async () => {
    const { code, stderr } = await tsMs("routes", `127.0.0.1:${silent.address?.port}`);
    assert.equal(code, 1);
    assert.match(stderr, /has no server reflection: .*--proto FILE or --descriptors FILE\n/);
  });
  test("speaks plain text and not TLS", async () => {
    const { code, stderr } = await tsMs("routes", target, "--grpc-tls");
    assert.equal(code, 1);
    assert.match(stderr, /leave out --grpc-tls if it speaks plain text\n/);
  });
});
