import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { after, before, test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { EchoRequestSchema, EchoResponseSchema } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { GrpcServer, HttpServer } from "../../../src/index.ts";
import { Echo } from "../../support/echo-service.ts";
import { frame, RawGrpcServer } from "../../support/raw-grpc-server.ts";
import { type Gateway, startGateway } from "../../support/gateway-fixture.ts";
import { ask, connectPost, echoPath, envelope, envelopes, jsonOf } from "../rpc-protocols/rpc-fixture.ts";

const json = '{"text":"hi"}';
const binary = toBinary(EchoRequestSchema, create(EchoRequestSchema, { text: "hi" }));
const textOf = (bytes: Uint8Array): string => fromBinary(EchoResponseSchema, bytes).text;

let gateway: Gateway;
before(async () => {
  gateway = await startGateway();
});
after(() => gateway[Symbol.asyncDispose]());

test("REST compares media types without regard to case", async () => {
  const { port } = gateway;
  const post = (type: string, body: string | Uint8Array, headers: OutgoingHttpHeaders = {}) =>
    ask(port, "/test/v1/echo", { "content-type": type, ...headers }, body);
  for (const type of ["Application/JSON", "TEXT/JSON; Charset=UTF-8", "application/Vnd.X+JSON"]) {
    const answer = await post(type, json);
    assert.equal(answer.status, 200, type);
    assert.equal(jsonOf(answer)["text"], "hi");
  }
  for (const type of ["Application/Proto", "APPLICATION/X-PROTOBUF"]) {
    const answer = await post(type, binary);
    assert.equal(answer.headers["content-type"], type.toLowerCase());
    assert.equal(textOf(answer.body), "hi");
  }
  const reply = await post("application/json", json, { accept: "Application/Proto" });
  assert.equal(textOf(reply.body), "hi");
  const event = await post("application/json", json, { accept: "Text/Event-Stream" });
  assert.equal(event.headers["content-type"], "text/event-stream");
  const stream = (headers: OutgoingHttpHeaders) => ask(port, "/test/v1/repeat/a?count=1", headers);
  assert.equal((await stream({ accept: "TEXT/EVENT-STREAM" })).headers["content-type"], "text/event-stream");
  const events = await stream({ accept: "Text/Event-Stream", prefer: "wait=1" });
  assert.equal(events.headers["content-type"], "text/event-stream");
  assert.equal((await stream({ accept: "Application/JSONL" })).headers["content-type"], "application/jsonl");
  const lines = await ask(
    port,
    "/test/v1/collect",
    { "content-type": "Application/X-NDJSON" },
    '{"text":"a"}\n',
  );
  assert.equal(lines.status, 200);
  const part = `--XX\r\nContent-Disposition: form-data; name="number"\r\nContent-Type: Application/JSON\r\n\r\n"7"\r\n--XX--\r\n`;
  const form = await post("Multipart/Form-Data; boundary=XX", part);
  assert.equal(jsonOf(form)["number"], "7", form.body.toString());
});

test("Connect and gRPC-Web compare media types without regard to case", async () => {
  const { port } = gateway;
  assert.equal(jsonOf(await connectPost(port, json, { "content-type": "APPLICATION/Json" }))["text"], "hi");
  const proto = await connectPost(port, binary, { "content-type": "Application/PROTO" });
  assert.equal(textOf(proto.body), "hi");
  const collect = "/tsms.test.v1.EchoService/Collect";
  const streamed = await ask(
    port,
    collect,
    { "content-type": "Application/Connect+JSON" },
    envelope('{"text":"a"}'),
  );
  assert.equal(streamed.status, 200);
  assert.deepEqual(JSON.parse(envelopes(streamed.body).at(-1)?.data.toString() ?? ""), {});
  for (const type of ["Application/GRPC-Web+Proto", "application/grpc-web+PROTO", "APPLICATION/GRPC-WEB"]) {
    const { body } = await ask(port, echoPath, { "content-type": type }, envelope(binary));
    assert.equal(textOf(envelopes(body)[0]?.data ?? new Uint8Array()), "hi", type);
  }
  const text = envelope(binary).toString("base64");
  const web = await ask(port, echoPath, { "content-type": "Application/Grpc-Web-Text+PROTO" }, text);
  assert.equal(web.headers["content-type"], "application/grpc-web-text+proto");
});

test("gRPC compares media types without regard to case, on every port that speaks it", async () => {
  const grpc = new GrpcServer({ port: 0 }).addService(new Echo());
  await grpc.start();
  const one = new HttpServer({ port: 0, upstream: grpc, grpc }).addService(new Echo());
  await one.start();
  for (const port of [gateway.port, one.address?.port, grpc.address?.port]) {
    const session = connect(`http://127.0.0.1:${port}`);
    for (const type of ["Application/GRPC", "application/grpc+PROTO", "APPLICATION/GRPC;x=y"]) {
      if (port === gateway.port && type.includes(";")) continue; // The door of gateways takes no parameters.
      const stream = session.request({
        ":method": "POST",
        ":path": echoPath,
        "content-type": type,
        te: "trailers",
      });
      stream.end(envelope(binary));
      const trailers = once(stream, "trailers") as Promise<[IncomingHttpHeaders]>;
      const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders];
      assert.equal(headers[":status"], 200, `${port} ${type}`);
      stream.resume();
      assert.equal((await trailers)[0]["grpc-status"], "0", `${port} ${type}`);
    }
    session.destroy();
  }
  await one.gracefulStop({ graceMs: 0 });
  await grpc.gracefulStop({ graceMs: 0 });
});

test("an upstream may write the type of its reply in any case", async () => {
  await using upstream = await new RawGrpcServer((stream) => {
    stream.resume();
    stream.respond({ ":status": 200, "content-type": "Application/GRPC+Proto" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(frame(toBinary(EchoResponseSchema, create(EchoResponseSchema, { text: "hi" }))));
  }).listen();
  const http = new HttpServer({ port: 0, upstream: upstream.target }).addService(new Echo());
  await http.start();
  const answer = await ask(http.address?.port ?? 0, "/test/v1/echo/hi");
  assert.equal(answer.status, 200, answer.body.toString());
  await http.gracefulStop({ graceMs: 0 });
});

test("unknownFields holds for the JSON of Connect and gRPC-Web too", async () => {
  const body = '{"text":"hi","txet":"ho","behaviour":{"slep_ms":1}}';
  const heard: string[] = [];
  const observer = {
    ignoredUnknown: (...[route, kind, , name]: [string, string, number, string]) =>
      void heard.push(`${route} ${kind} ${name}`),
  };
  await using ignoring = await startGateway({ httpObservers: [observer] });
  await using refusing = await startGateway({ unknownFields: "reject" });
  const web = { "content-type": "application/grpc-web+json" };
  assert.equal((await connectPost(ignoring.port, body)).status, 200);
  assert.deepEqual(heard, [`${echoPath} field txet`, `${echoPath} field behaviour.slep_ms`]);
  const ignored = await ask(ignoring.port, echoPath, web, envelope(body));
  assert.match(envelopes(ignored.body).at(-1)?.data.toString() ?? "", /grpc-status: 0/);
  const refused = await connectPost(refusing.port, body);
  assert.equal(refused.status, 400);
  assert.partialDeepStrictEqual(jsonOf(refused), {
    code: "invalid_argument",
    details: [{ debug: { fieldViolations: [{ field: "txet" }, { field: "behaviour.slep_ms" }] } }],
  });
  const { body: answer } = await ask(refusing.port, echoPath, web, envelope(body));
  assert.match(envelopes(answer).at(-1)?.data.toString() ?? "", /grpc-status: 3/);
  assert.equal(refusing.echo.calls, 0);
});
