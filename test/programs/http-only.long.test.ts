import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { curl, curlJson, Program, run } from "../support/program.ts";

const folder = mkdtempSync(join(tmpdir(), "ts-ms-http-only-"));
const listen = ["--http-port=0", "--exporter-port=off"];
let grpc: Program;
let upstream: string[] = [];

before(async () => {
  grpc = new Program("examples/grpc-only.ts", "--grpc-port=0", "--exporter-port=0", "--log-level=debug");
  upstream = [`--grpc-port=${(await grpc.address("GRPC")).split(":")[1]}`];
});

after(async () => {
  await grpc[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

test("the command that grpc-only tells to try works", async () => {
  const [, command = ""] = await grpc.line(/^Try: npx (.*)$/);
  const [tool = "", ...args] = command.split(" ");
  const { code, stdout } = await run(tool, ...args);
  assert.equal(code, 0);
  assert.partialDeepStrictEqual(JSON.parse(stdout), {
    shelves: [{ name: "shelves/1", theme: "Science fiction" }],
  });
});

test("it serves the built-in examples from a server in another process", async () => {
  await using gateway = new Program("examples/http-only.ts", ...listen, ...upstream);
  const http = `http://${await gateway.address("HTTP")}`;
  assert.deepEqual(await curlJson(`${http}/goms/42`), [200, { message: "GoMs View" }]);
  assert.deepEqual(await curlJson(`${http}/child/42/parent`), [200, { message: "GoMs View" }]);
  assert.equal((await curl(`${http}/readyz`)).status, 200);
  const [status, error] = await curlJson(`${http}/v1/shelves/9`);
  assert.equal(status, 404);
  assert.partialDeepStrictEqual(error, { code: 5, details: [{ resourceName: "shelves/9" }] });
  assert.equal((await gateway.stop()).code, 0);
});

test("the request id follows a call through both processes and the service behind the service", async () => {
  await using gateway = new Program("examples/http-only.ts", ...listen, ...upstream, "--log-level=debug");
  const http = `http://${await gateway.address("HTTP")}`;
  await curl(`${http}/child/42/parent`, "-H", "x-request-id: follow-me", "-H", "cookie: s3cret=1");
  await gateway.error(
    /"request_id":"follow-me","rpc":"go\.micro\.service\.child\.Child\/Parent","door":"rest"/,
  );
  await grpc.error(/"request_id":"follow-me","rpc":"go\.micro\.service\.child\.Child\/Parent","door":"grpc"/);
  await grpc.error(
    /"request_id":"follow-me","rpc":"go\.micro\.service\.goms\.GoMs\/Get","door":"in-process"/,
  );
  assert.doesNotMatch(gateway.errors + grpc.errors, /s3cret/);
});

test("--service narrows, the flags of a gateway reach it", async () => {
  await using gateway = new Program(
    "examples/http-only.ts",
    ...listen,
    ...upstream,
    "--service=library.v1.LibraryService",
    "--unknown-query=reject",
    "--error-format=google",
  );
  const http = `http://${await gateway.address("HTTP")}`;
  assert.equal((await curl(`${http}/goms`)).status, 404);
  const [status, error] = await curlJson(`${http}/v1/shelves?zzz=1`);
  assert.equal(status, 400);
  assert.partialDeepStrictEqual(error, { error: { code: 400, status: "INVALID_ARGUMENT" } });
});

test("--rules serves rules outside the contracts", async () => {
  const file = join(folder, "rules.yaml");
  writeFileSync(
    file,
    "type: google.api.Service\nconfig_version: 3\nhttp:\n  rules:\n  - selector: go.micro.service.goms.GoMs.List\n    get: /renamed\n",
  );
  await using gateway = new Program("examples/http-only.ts", ...listen, ...upstream, "--rules", file);
  const http = `http://${await gateway.address("HTTP")}`;
  assert.deepEqual(await curlJson(`${http}/renamed`), [200, { message: "GoMs List" }]);
});

test("--descriptors and --proto serve the same routes without generated code", async () => {
  const set = join(folder, "set.binpb");
  assert.equal((await run("buf", "build", "-o", set, "--path", "proto/library")).code, 0);
  const routes: string[][] = [];
  for (const source of [
    ["--descriptors", set],
    ["--proto", "library/v1/library.proto", "--proto-path", "proto"],
  ]) {
    await using gateway = new Program("examples/http-only.ts", ...listen, ...upstream, ...source);
    const http = `http://${await gateway.address("HTTP")}`;
    const [status, page] = await curlJson(`${http}/v1/shelves/1/books?pageSize=1`);
    assert.equal(status, 200);
    assert.partialDeepStrictEqual(page, { books: [{ title: "Dune" }], totalSize: 3 });
    await gateway.line(/^Try: /);
    routes.push(gateway.lines.filter((line) => line.includes("→")));
  }
  assert.equal(routes[0]?.length, 15);
  assert.deepEqual(routes[0], routes[1]);
});

test("--reflection waits for its upstream, loads it, and loads it again when it comes back", async () => {
  const port = await freePort();
  const grpcFlags = [`--grpc-port=${port}`, "--exporter-port=off"];
  await using gateway = new Program(
    "examples/http-only.ts",
    ...listen,
    `--grpc-port=${port}`,
    "--reflection",
  );
  const http = `http://${await gateway.address("HTTP")}`;
  assert.equal((await curl(`${http}/readyz`)).status, 503);
  assert.equal((await curl(`${http}/livez`)).status, 200);
  const [status, error] = await curlJson(`${http}/goms`);
  assert.equal(status, 503);
  assert.partialDeepStrictEqual(error, { code: 14 });

  {
    await using first = new Program("test/programs/fixtures/echo-program.ts", ...grpcFlags, "--http-port=0");
    await gateway.line(/→ tsms\.test\.v1\.EchoService\/Echo$/);
    assert.equal((await curl(`${http}/test/v1/echo/hello`)).status, 200);
    assert.equal((await curl(`${http}/goms`)).status, 404);
    await first.stop();
  }
  assert.equal((await curl(`${http}/test/v1/echo/hello`)).status, 503);

  await using second = new Program("examples/grpc-only.ts", ...grpcFlags);
  await gateway.line(/→ go\.micro\.service\.goms\.GoMs\/List$/);
  assert.deepEqual(await curlJson(`${http}/goms`), [200, { message: "GoMs List" }]);
  assert.equal((await curl(`${http}/test/v1/echo/hello`)).status, 404);
  assert.equal((await second.stop()).code, 0);
  assert.equal((await gateway.stop()).code, 0);
});

/** A port that is free now, and with luck still a moment later. */
async function freePort(): Promise<number> {
  await using program = new Program("examples/grpc-only.ts", "--grpc-port=0", "--exporter-port=off");
  const [, port] = (await program.address("GRPC")).split(":");
  await program.stop();
  return Number(port);
}
