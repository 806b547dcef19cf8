import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type IncomingHttpHeaders } from "node:http2";
import { after, before, test } from "node:test";
import { create, toBinary, type DescMethodUnary, type DescService } from "@bufbuild/protobuf";
import { StatusSchema } from "../../../gen/google/rpc/status_pb.ts";
import type { AnyService } from "../../../src/core/call/service.ts";
import { Metrics } from "../../../src/entries/telemetry.ts";
import {
  ConnectError,
  dial,
  GrpcServer,
  HttpServer,
  type HttpServerOptions,
  type PartialService,
} from "../../../src/index.ts";
import { contractOf, serviceOf, typeOf } from "../../support/contract.ts";
import { frame, grpcHeaders, RawGrpcServer } from "../../support/raw-grpc-server.ts";
import { envelope, envelopes } from "../rpc-protocols/rpc-fixture.ts";
import { SocketClient } from "../websocket/socket-client.ts";
import { testServerEngine } from "../../support/test-engine.ts";

const contract = contractOf(`syntax = "proto3";
package b;
import "google/api/annotations.proto";
service B {
  rpc Run(Req) returns (Res) { option (google.api.http) = {post: "/b" body: "*"}; }
  rpc Watch(Req) returns (stream Res) { option (google.api.http) = {post: "/watch" body: "*"}; }
}
message Req { int32 code = 1; }
message Res { int32 n = 1; }`);
const service = serviceOf(contract, "b.B");
const run = service.method["run"] as DescMethodUnary; // As the contract has it.

/** The `grpc-status` that the upstream answers with. */
let wire = "2009";
let withDetails = false;
const upstream = new RawGrpcServer((stream, headers) => {
  stream.resume();
  const details = create(StatusSchema, { code: Number(wire), message: "told so", details: [] });
  const status = {
    "grpc-status": wire,
    "grpc-message": "told so",
    ...(withDetails
      ? { "grpc-status-details-bin": Buffer.from(toBinary(StatusSchema, details)).toString("base64") }
      : {}),
  };
  if (headers[":path"] !== "/b.B/Watch") {
    stream.respond({ ...grpcHeaders, ...status }, { endStream: true });
    return;
  }
  stream.respond(grpcHeaders, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers(status));
  stream.end(frame(Buffer.from([8, 1])));
});

const gateways: HttpServer[] = [];
const metrics = new Metrics({ processMetrics: false });

async function gateway(options: Partial<HttpServerOptions> = {}): Promise<number> {
  const http = new HttpServer({ port: 0, upstream: upstream.target, ...testServerEngine, ...options });
  http.addService(service);
  await http.start();
  gateways.push(http);
  return http.address?.port ?? 0;
}

let port = 0;
before(async () => {
  await upstream.listen();
  port = await gateway({ observers: [metrics] });
});
after(async () => {
  for (const http of gateways) await http.gracefulStop({ graceMs: 0 });
  await upstream[Symbol.asyncDispose]();
});

async function post(
  path: string,
  headers: Record<string, string> = {},
  body: string | Buffer = "{}",
  to = port,
) {
  const response = await fetch(`http://127.0.0.1:${to}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : Uint8Array.from(body),
  });
  return { status: response.status, body: Buffer.from(await response.arrayBuffer()) };
}

const status = { code: 2009, message: "told so", details: [] };
const last = (text: string): unknown => JSON.parse(text);

test("a service's own code stays in the bodies, lines and events of REST, with HTTP 500", async () => {
  for (withDetails of [false, true]) {
    const rest = await post("/b");
    assert.equal(rest.status, 500);
    assert.deepEqual(last(rest.body.toString()), status);
    const lines = (await post("/watch")).body.toString().trim().split("\n");
    assert.deepEqual(lines.map(last), [{ n: 1 }, { error: status }]);
    const events = (await post("/watch", { accept: "text/event-stream" })).body.toString();
    assert.deepEqual(last(/event: ?error\n(?:id.*\n)?data: ?(.*)/.exec(events)?.[1] ?? ""), status);
  }
  withDetails = false;
  for (const [errorFormat, expected] of [
    ["google", { error: { code: 500, status: "CODE_2009" } }],
    ["problem", { status: 500, code: 2009 }],
  ] as const) {
    const other = await gateway({ errorFormat });
    assert.partialDeepStrictEqual(last((await post("/b", {}, "{}", other)).body.toString()), expected);
  }
});

test("Connect, gRPC-Web and gRPC keep it in their own forms", async () => {
  const unary = await post("/b.B/Run", { "connect-protocol-version": "1" });
  assert.equal(unary.status, 500);
  assert.partialDeepStrictEqual(last(unary.body.toString()), { code: "code_2009", message: "told so" });
  const streamed = await post("/b.B/Watch", { "content-type": "application/connect+json" }, envelope("{}"));
  assert.partialDeepStrictEqual(last(envelopes(streamed.body).at(-1)?.data.toString() ?? ""), {
    error: { code: "code_2009", message: "told so" },
  });
  for (const path of ["/b.B/Run", "/b.B/Watch"]) {
    const web = await post(path, { "content-type": "application/grpc-web+proto" }, envelope(""));
    assert.match(envelopes(web.body).at(-1)?.data.toString() ?? "", /grpc-status: 2009\r\n/, path);
  }
  const session = connect(`http://127.0.0.1:${port}`);
  const stream = session.request({
    ":method": "POST",
    ":path": "/b.B/Run",
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.end(envelope(""));
  const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders];
  assert.equal(headers["grpc-status"], "2009");
  session.destroy();
});

test("it reaches WebSockets in the status frame, with a close code that there is", async () => {
  for (const [code, close] of [
    ["2009", 4002],
    ["17", 4017],
  ] as const) {
    wire = code;
    const socket = await new SocketClient(`ws://127.0.0.1:${port}/watch`).open();
    socket.send("{}");
    await socket.next();
    assert.deepEqual(await socket.end(), { status: Number(code), message: "told so", code: close });
  }
  wire = "2009";
});

test("a handler's own code passes the one port, in process and over gRPC", async () => {
  const rpcs = {
    run({ code }: { code: number }) {
      throw new ConnectError("told so", code);
    },
  };
  const grpc = new GrpcServer({ port: 0 });
  const own: AnyService = { descriptor: service, ...rpcs };
  grpc.addService(own as PartialService<DescService>); // Its rpcs are known at run time only.
  await grpc.start();
  const one = await gateway({ upstream: grpc, grpc });
  const { body } = await post("/b", {}, '{"code":2009}', one);
  assert.deepEqual(last(body.toString()), status);
  for (const target of [one, grpc.address?.port ?? 0]) {
    const transport = dial(`127.0.0.1:${target}`);
    const call = transport.unary(
      run,
      undefined,
      undefined,
      undefined,
      create(typeOf(contract, "b.Req"), { code: 2009 }),
    );
    await assert.rejects(call, { code: 2009, rawMessage: "told so" });
    transport.close();
  }
  await grpc.gracefulStop({ graceMs: 0 });
});

test("metrics name it, as long as the names are not without end", async () => {
  for (wire of ["2009", "2147483647", "2147483648", "0x10"]) await post("/b");
  for (let code = 3000; code < 3100; code++) {
    wire = String(code);
    await post("/b");
  }
  wire = "2009";
  const page = await metrics.page();
  const count = (code: string): number =>
    Number(new RegExp(`method="Run",protocol="rest",code="${code}"\\} (\\d+)`).exec(page)?.[1] ?? 0);
  assert.ok(count("CODE_2009") > 0);
  assert.equal(count("CODE_2147483647"), 1);
  assert.equal(page.match(/method="Run",protocol="rest",code="CODE_/g)?.length, 64);
  assert.equal(count("UNKNOWN"), 2 + 100 - 62);
});
