import assert from "node:assert/strict";
import { test } from "node:test";
import { GrpcServer } from "../../src/index.ts";
import { Echo } from "../support/echo-service.ts";
import { curl, Program } from "../support/program.ts";

const kibibyte = 1024;
const contract = ["--proto-path=proto", "--proto=proto/tsms/test/v1/echo.proto"];

test("http-only: limits are flags, and a reply that is too large is 500", async (t) => {
  const maxSendBytes = -1;
  const grpc = new GrpcServer({ port: 0, maxMessageBytes: 64 * kibibyte ** 2, maxSendBytes });
  grpc.addService(new Echo());
  await grpc.start();
  t.after(() => grpc.gracefulStop({ graceMs: 0 }));
  const start = async (...flags: string[]): Promise<Program & { http: string }> => {
    const usual = ["--http-port=0", "--exporter-port=off", `--grpc-port=${grpc.address?.port}`];
    const program = new Program("examples/http-only.ts", ...usual, ...contract, ...flags);
    return Object.assign(program, { http: `http://${await program.address("HTTP")}` });
  };
  const text = "x".repeat(5 * kibibyte ** 2);
  const post = { method: "POST", headers: { "content-type": "application/json" } };
  const call = (http: string, body: unknown): Promise<Response> =>
    fetch(`${http}/test/v1/echo`, { ...post, body: JSON.stringify(body) });

  await using usual = await start();
  assert.equal((await call(usual.http, { text })).status, 413);

  await using large = await start(
    "--max-body=16MiB",
    "--max-reply=16MiB",
    "--max-url=64KiB",
    "--max-headers=64KiB",
  );
  const reply = (await (await call(large.http, { text })).json()) as { text: string };
  assert.equal(reply.text, text);
  const long = await fetch(`${large.http}/test/v1/echo/${"a".repeat(10_000)}`, {
    headers: { "x-large": "b".repeat(20_000) },
  });
  assert.equal(long.status, 200);

  await using small = await start("--max-reply=1KiB", "--max-body=4KiB", "--timeout=1s", "--max-timeout=2s");
  const refused = await call(small.http, { text: "x".repeat(2 * kibibyte) });
  assert.equal(refused.status, 500, "the service's fault");
  assert.match(
    await refused.text(),
    /^\{"code":13,"message":"a message of the reply is larger than 1024 bytes"/,
  );
  assert.equal((await call(small.http, { text: "x".repeat(5 * kibibyte) })).status, 413);
  const asleep = { behaviour: { sleepMs: 60_000 } };
  assert.equal((await call(small.http, asleep)).status, 504);
  const patient = { ...post.headers, "grpc-timeout": "60S" };
  const body = JSON.stringify(asleep);
  assert.equal((await fetch(`${small.http}/test/v1/echo`, { ...post, headers: patient, body })).status, 504);
});

test("gateway: the same flags bound HTTP and gRPC", async () => {
  await using program = new Program(
    "examples/gateway.ts",
    "--http-port=0",
    "--grpc-port=0",
    "--exporter-port=off",
    "--max-body=100",
  );
  const http = `http://${await program.address("HTTP")}`;
  const { status } = await curl(
    "-H",
    "content-type: application/json",
    "-d",
    `{"a":"${"x".repeat(200)}"}`,
    `${http}/v1/shelves`,
  );
  assert.equal(status, 413);
});
