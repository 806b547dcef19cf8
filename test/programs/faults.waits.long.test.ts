import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { bufCurl, curl, curlJson, Program } from "../support/program.ts";

let program: Program;
let http = "";
let grpc = "";

before(async () => {
  program = new Program(
    "test/programs/fixtures/echo-program.ts",
    "--grpc-port=0",
    "--http-port=0",
    "--exporter-port=0",
  );
  await program.line(/^ready$/);
  http = `http://${await program.address("HTTP")}`;
  grpc = await program.address("GRPC");
});

after(() => program[Symbol.asyncDispose]());

/** The sum of a metric of our own. */
async function counted(name: string): Promise<number> {
  const { body } = await curl(await program.metrics());
  const samples = body.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\d+)$`, "gm"));
  return [...samples].reduce((sum, [, count]) => sum + Number(count), 0);
}

for (const [what, text, args, logged] of [
  ["a thrown text", "throwText", [], "just text"],
  ["a thrown null", "throwNull", [], "null"],
  ["an exception in an interceptor", "x", ["-H", "x-throw: 1"], "thrown by an interceptor"],
] as const) {
  test(`Z11: ${what} is INTERNAL without its text, counted and logged whole`, async () => {
    const before = await counted("ts_ms_call_faults_total");
    const [status, error] = await curlJson(`${http}/test/v1/echo/${text}`, ...args);
    assert.equal(status, 500);
    assert.deepEqual(error, { code: 13, message: "internal error", details: [] });
    const rpc = await bufCurl(grpc, "tsms.test.v1.EchoService/Echo", JSON.stringify({ text }), ...args);
    assert.equal(rpc.code, 13 * 8);
    assert.ok(!rpc.stderr.includes(logged), rpc.stderr);
    assert.equal(await counted("ts_ms_call_faults_total"), before + 2);
    await program.error(new RegExp(`"level":50.*"code":"INTERNAL".*${logged}`));
    assert.equal((await curl(`${http}/test/v1/echo/good`)).status, 200);
  });
}

for (const [text, origin, logged] of [
  ["rejectLater", "unhandledRejection", "stray rejection"],
  ["throwLater", "uncaughtException", "stray exception"],
] as const) {
  test(`Z11: a handler that leaves a fault behind (${text}) does not end the process`, async () => {
    const before = await counted("ts_ms_process_faults_total");
    assert.equal((await curl(`${http}/test/v1/echo/${text}`)).status, 200);
    await program.error(new RegExp(`"level":50.*"stack":"Error: ${logged}.*"origin":"${origin}"`));
    assert.equal(await counted("ts_ms_process_faults_total"), before + 1);
    assert.equal((await curl(`${http}/test/v1/echo/good`)).status, 200);
  });
}

test("Z11: an abort listener that throws does not end the process, the call keeps its deadline", async () => {
  const url = `${http}/test/v1/echo/throwInAbort?behaviour.sleepMs=20000`;
  const [status, error] = await curlJson(url, "-H", "grpc-timeout: 1S");
  assert.equal(status, 504);
  assert.partialDeepStrictEqual(error, { code: 4 });
  await program.error(/stray in abort/);
  assert.equal((await curl(`${http}/test/v1/echo/good`)).status, 200);
});

test("Z11: after all that the program still stops gracefully", async () => {
  assert.equal((await program.stop()).code, 0);
});
