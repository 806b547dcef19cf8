import assert from "node:assert/strict";
import type { ServerHttp2Stream } from "node:http2";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { EchoService, RepeatResponseSchema } from "../../../gen/tsms/test/v1/echo_pb.ts";
import type { Interceptor } from "../../../src/core/call/interceptors.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { frame, grpcHeaders, RawGrpcServer } from "../../support/raw-grpc-server.ts";
import { startGateway } from "../../support/gateway-fixture.ts";
import { openStream, readAll } from "./stream-client.ts";
import { testServerEngine } from "../../support/test-engine.ts";

const never = 600_000;

/** A gateway before an upstream whose answer the test writes. */
async function startRaw(
  answer: (stream: ServerHttp2Stream) => void,
  options: Partial<HttpServerOptions> = {},
) {
  const upstream = await new RawGrpcServer(answer).listen();
  const http = new HttpServer({
    upstream: upstream.target,
    port: 0,
    headerFlushMs: never,
    ...testServerEngine,
    ...options,
  });
  http.addService(EchoService);
  await http.start();
  return {
    url: `http://127.0.0.1:${http.address?.port}/test/v1/repeat/a?count=1`,
    async [Symbol.asyncDispose]() {
      await http.gracefulStop({ graceMs: 0 });
      await upstream[Symbol.asyncDispose]();
    },
  };
}

const reply = frame(toBinary(RepeatResponseSchema, create(RepeatResponseSchema, { text: "x" })));

test("the head of an idle stream leaves after a while", async () => {
  await using gateway = await startGateway({ headerFlushMs: 50 });
  const stream = await openStream(`${gateway.url}/test/v1/repeat/a?count=1&intervalMs=100000`);
  assert.equal(stream.response.statusCode, 200);
  assert.equal(stream.text(), "");
  stream.request.destroy();
  await gateway.echo.until(({ aborted }) => aborted === 1);
});

test("an error that comes before the head has a status, one that comes after it is in the stream", async () => {
  await using gateway = await startGateway({ headerFlushMs: 300 });
  const url = `${gateway.url}/test/v1/repeat/a?behaviour.failure.code=5&behaviour.sleepMs`;
  const early = await openStream(`${url}=1`);
  assert.equal(early.response.statusCode, 404);
  await readAll(early);
  const late = await openStream(`${url}=1000`);
  assert.equal(late.response.statusCode, 200);
  assert.equal((await readAll(late)).text, '{"error":{"code":5,"message":"","details":[]}}\n');
});

const passing: Interceptor = (next) => async (request) => {
  const response = await next(request);
  response.header.set("x-intercepted", "yes");
  return response;
};

for (const [name, interceptors] of [
  ["", []],
  [" behind interceptors", [passing, passing]],
] as const) {
  test(`the head of the upstream is passed on before its first message${name}`, async () => {
    const streams: ServerHttp2Stream[] = [];
    await using gateway = await startRaw(
      (stream) => {
        stream.respond({ ...grpcHeaders, "x-early": "1" }, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
        streams.push(stream);
      },
      { interceptors: [...interceptors] },
    );
    const stream = await openStream(gateway.url);
    assert.equal(stream.response.statusCode, 200);
    assert.equal(stream.response.headers["x-early"], "1");
    assert.equal(stream.text(), "");
    for (const upstream of streams) upstream.end(reply);
    assert.match((await readAll(stream)).text, /^\{"text":"x".*\}\n$/);
  });

  test(`an upstream that fails without a message has its status${name}`, async () => {
    await using gateway = await startRaw(
      (stream) => stream.respond({ ...grpcHeaders, "grpc-status": "5", "x-early": "1" }, { endStream: true }),
      { interceptors: [...interceptors] },
    );
    const stream = await openStream(gateway.url);
    assert.equal(stream.response.statusCode, 404);
    await readAll(stream);
  });

  test(`an upstream that fails right behind its head has its status${name}`, async () => {
    await using gateway = await startRaw(
      (stream) => {
        stream.respond(grpcHeaders, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "7" }));
        stream.end();
      },
      { interceptors: [...interceptors] },
    );
    const stream = await openStream(gateway.url);
    assert.equal(stream.response.statusCode, 403);
    await readAll(stream);
  });
}
