import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { GrpcServer } from "../../src/index.ts";
import { seedLibrary } from "../../src/services/library/library-seed.ts";
import { LibraryService } from "../../src/services/library/library-service.ts";
import { curlJson, Program } from "../support/program.ts";
import { tsMsWith } from "../support/ts-ms.ts";

const scratch = mkdtempSync(join(tmpdir(), "ts-ms-serve-"));
const grpc = new GrpcServer({ port: 0, host: "127.0.0.1" });
let target = "";

before(async () => {
  grpc.addService(new LibraryService(seedLibrary()));
  await grpc.start();
  target = `127.0.0.1:${grpc.address?.port}`;
});
after(async () => {
  rmSync(scratch, { recursive: true, force: true });
  await grpc.gracefulStop();
});

/** `ts-ms serve` on ports that the system chooses. */
function serve(...args: readonly string[]): Program {
  return new Program("src/cli/ts-ms.ts", "serve", ...args, "--http-port=0", "--exporter-port=off");
}

test("serve TARGET serves what the reflection of a server has, with documents", async () => {
  await using program = serve(target);
  const address = await program.address("HTTP");
  await program.line(/^Try: curl http/);
  const [status, body] = await curlJson(`http://${address}/v1/shelves/1/books/1`);
  assert.equal(status, 200);
  assert.partialDeepStrictEqual(body, { title: "Dune" });
  const [, document] = await curlJson(`http://${address}/openapi.json`);
  assert.ok("/v1/shelves" in (document as { paths: object }).paths);
  assert.equal((await program.stop()).code, 0);
});

test("serve says why there are no contracts yet, and what to do, and serves them as soon as it has them", async () => {
  const later = new GrpcServer({ port: 0, host: "127.0.0.1" });
  await later.start();
  const { port = 0 } = later.address ?? {};
  await later.gracefulStop();
  await using program = serve(`127.0.0.1:${port}`);
  await program.error(
    new RegExp(
      `"reason":"127\\.0\\.0\\.1:${port} gives no contracts: UNAVAILABLE: .*nothing listens there; is it running\\? ts-ms doctor 127\\.0\\.0\\.1:${port}"`,
    ),
  );
  await using now = new GrpcServer({ port, host: "127.0.0.1" }).addService(new LibraryService(seedLibrary()));
  await now.start();
  await program.line(/^Try: curl http/);
  await using mute = new GrpcServer({ port: 0, host: "127.0.0.1", reflection: false });
  await mute.start();
  await using other = serve(`127.0.0.1:${mute.address?.port}`);
  await other.error(
    /has no server reflection: say where its contracts are, --proto FILE or --descriptors FILE/,
  );
});

test("serve --mock answers by the contracts alone", async () => {
  await using program = serve("--mock", "--proto-path", "proto", "--proto", "library/v1/library.proto");
  const address = await program.address("HTTP");
  await program.line(/^\[MOCK\] every answer is made of the contracts$/);
  const [status, body] = await curlJson(`http://${address}/v1/shelves/1/books/1`);
  assert.equal(status, 200);
  assert.ok("title" in (body as object));
});

test("serve --watch uses changed contracts and rules, and goes on with the old ones while they are wrong", async () => {
  const protos = join(scratch, "proto");
  cpSync("proto/library", join(protos, "library"), { recursive: true });
  cpSync("proto/ts_ms", join(protos, "ts_ms"), { recursive: true });
  const file = join(protos, "library/v1/library.proto");
  const rules = join(scratch, "rules.yaml");
  const rule = (path: string): string =>
    `type: google.api.Service\nhttp:\n  rules:\n    - selector: library.v1.LibraryService.ListShelves\n      get: ${path}\n`;
  writeFileSync(rules, rule("/a"));
  const source = readFileSync(file, "utf8");
  const flags = ["--proto-path", protos, "--proto", "library/v1/library.proto", "--rules", rules];
  await using program = serve(target, ...flags, "--watch");
  const url = `http://${await program.address("HTTP")}`;
  const statusOf = async (path: string): Promise<number> => (await curlJson(`${url}${path}`))[0];
  await program.line(/^Try: curl/);
  assert.deepEqual([await statusOf("/a"), await statusOf("/v1/shelves/1")], [200, 200]);

  writeFileSync(file, source.replace('get: "/v1/{name=shelves/*}"', 'get: "/v9/{name=shelves/*}"'));
  await program.line(/^\[HTTP\] loaded again: library\.v1\.LibraryService$/);
  assert.deepEqual([await statusOf("/v9/shelves/1"), await statusOf("/v1/shelves/1")], [200, 405]);

  writeFileSync(file, "syntax = ");
  await program.error(/changed contracts are not used: .*library\.proto/);
  assert.equal(await statusOf("/v9/shelves/1"), 200);

  program.lines.length = 0;
  program.errors = "";
  writeFileSync(file, source);
  await program.line(/^\[HTTP\] loaded again/);
  writeFileSync(rules, rule("/v1/{name=x"));
  await program.error(/changed contracts are not used: /);
  assert.deepEqual([await statusOf("/a"), await statusOf("/v1/shelves/1")], [200, 200]);
  program.lines.length = 0;
  writeFileSync(rules, rule("/b"));
  await program.line(/^\[HTTP\] loaded again/);
  assert.deepEqual([await statusOf("/b"), await statusOf("/a")], [200, 404]);
});

suite("what serve refuses", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["x:1 --mock --proto a.proto", /--mock answers itself: leave TARGET out/],
    ["--mock", /--mock needs --proto FILE or --descriptors FILE/],
    ["x:1 --grpc-port 5", /TARGET is the server to call: leave out --upstream/],
    ["--mock-seed 1", /--mock-seed needs --mock/],
  ];
  for (const [line, expected] of cases) {
    test(line, async () => {
      const { code, stderr } = await tsMsWith({ alone: true }, "serve", ...line.split(" "));
      assert.equal(code, 2);
      assert.match(stderr, expected);
    });
  }

  test("a port that is taken, with the process that has it", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    const { code, stderr } = await tsMsWith(
      { alone: true },
      "serve",
      target,
      `--http-port=${port}`,
      "--exporter-port=off",
    );
    taken.close();
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: address already in use`));
    if (process.platform === "linux") assert.match(stderr, new RegExp(`process ${process.pid} \\(.*node`));
    assert.match(stderr, /--http-port 0 picks a free one/);
  });
});
