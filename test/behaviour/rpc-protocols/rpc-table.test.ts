import { strict as assert } from "node:assert";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { EchoService, RepeatRequestSchema } from "../../../gen/tsms/test/v1/echo_pb.ts";
import type { Interceptor } from "../../../src/core/call/interceptors.ts";
import { rpcName } from "../../../src/core/call/service.ts";
import { startGateway } from "../../support/gateway-fixture.ts";
import { ask, connectPost, echoPath, envelope, envelopes, jsonOf } from "./rpc-fixture.ts";

test("calls pass interceptors and observers once, under the protocol they came by", async () => {
  const told: string[] = [];
  const interceptor: Interceptor = (next) => (request) => {
    told.push(`in ${request.method.name}`);
    return next(request);
  };
  await using gateway = await startGateway({
    interceptors: [interceptor],
    observers: [
      {
        started: (context) => void told.push(`${context.protocolName} ${rpcName(context.method)}`),
        finished: (_context, error) => void told.push(error === undefined ? "ok" : Code[error.code]),
      },
    ],
    httpObservers: [{ httpRequest: (route, verb, status) => void told.push(`${verb} ${route} ${status}`) }],
  });
  await connectPost(gateway.port, '{"behaviour":{"failure":{"code":5}}}');
  assert.deepEqual(told.splice(0), [
    "connect tsms.test.v1.EchoService/Echo",
    "in Echo",
    "NotFound",
    `POST ${echoPath} 404`,
  ]);
  const headers = { "content-type": "application/grpc-web+proto" };
  await ask(gateway.port, echoPath, headers, envelope(""));
  assert.deepEqual(told, ["grpc-web tsms.test.v1.EchoService/Echo", "in Echo", "ok", `POST ${echoPath} 200`]);
});

test("headers that are withheld can be asked for, others never", async () => {
  await using gateway = await startGateway({ forwardHeaders: ["Cookie"], dropResponseHeaders: ["X-Gone"] });
  const body = '{"behaviour":{"headers":{"x-gone":"1","x-kept":"1"},"trailers":{"x-gone":"1"}}}';
  const answer = await connectPost(gateway.port, body, { cookie: "c", origin: "o" });
  assert.deepEqual(jsonOf(answer)["headers"], { cookie: "c" });
  assert.deepEqual(
    [answer.headers["x-gone"], answer.headers["trailer-x-gone"], answer.headers["x-kept"]],
    [undefined, undefined, "1"],
  );
});

test("hooks of the user's own add headers to calls of every form", async () => {
  await using gateway = await startGateway({}, [], (http) => {
    http.fastify.addHook("onRequest", async (_request, reply) => void reply.header("x-hook", "1"));
  });
  assert.equal((await connectPost(gateway.port, "{}")).headers["x-hook"], "1");
  for (const type of ["application/grpc-web+proto", "application/grpc-web-text"]) {
    const body = type.endsWith("text") ? envelope("").toString("base64") : envelope("");
    assert.equal((await ask(gateway.port, echoPath, { "content-type": type }, body)).headers["x-hook"], "1");
  }
});

test("what a service sets cannot change the protocol", async () => {
  await using gateway = await startGateway();
  const headers = { "content-length": "1", "connect-content-encoding": "br", "grpc-status": "7" };
  const behaviour = { headers, trailers: headers };
  const answer = await connectPost(gateway.port, JSON.stringify({ text: "a", behaviour }));
  assert.equal(jsonOf(answer)["text"], "a");
  const request = create(RepeatRequestSchema, { count: 1, behaviour });
  const path = "/tsms.test.v1.EchoService/Repeat";
  for (const [type, end] of [
    ["application/connect+proto", "{}"],
    ["application/grpc-web+proto", "grpc-status: 0\r\n"],
  ] as const) {
    const reply = await ask(
      gateway.port,
      path,
      { "content-type": type },
      envelope(toBinary(RepeatRequestSchema, request)),
    );
    assert.equal(reply.headers["connect-content-encoding"], undefined);
    assert.equal(envelopes(reply.body).at(-1)?.data.toString(), end);
  }
});

test("G01: gRPC to what is no rpc is unimplemented", async () => {
  await using gateway = await startGateway();
  const missing = { ...EchoService.method.echo, name: "Missing" };
  const transport = createGrpcTransport({ baseUrl: gateway.url });
  await assert.rejects(
    transport.unary(missing, undefined, 10_000, undefined, {}),
    ({ code }: ConnectError) => code === Code.Unimplemented,
  );
  assert.equal(gateway.echo.calls, 0);
  for (const path of ["/__proto__/toString", "/tsms.test.v1.EchoService/%45cho"]) {
    const headers = { "content-type": "application/grpc-web+proto" };
    assert.equal((await ask(gateway.port, path, headers, envelope(""))).status, 404);
  }
});
