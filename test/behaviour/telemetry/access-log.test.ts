import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import http2 from "node:http2";
import { connect } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { promisify } from "node:util";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import type { Gate } from "../../../src/core/admission/gate.ts";
import { refusal } from "../../../src/core/admission/refusal.ts";
import { service } from "../../../src/core/call/service.ts";
import { dial } from "../../../src/core/dial.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { principalKey } from "../../../src/core/security/principal.ts";
import { AccessLog, type AccessLogOptions } from "../../../src/core/telemetry/access-log.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { callingFace } from "../../support/calling-face.ts";
import { doorClients, through } from "../../support/door-clients.ts";

type Line = Readonly<Record<string, string | number | undefined>>;

/** Servers with an access log, whose lines are kept. */
async function start(options: Partial<AccessLogOptions> = {}) {
  const texts: string[] = [];
  const log = new AccessLog({ destination: { write: (text) => void texts.push(text) }, ...options });
  const echo = service(EchoService, {
    echo(request) {
      if (request.text === "fail") throw new ConnectError("no", Code.NotFound);
      return { text: request.text };
    },
    async *repeat(request, { signal }) {
      for (let i = 0; i < request.count; i++) yield { text: request.text };
      if (request.text === "hang") await new Promise((resolve) => signal.addEventListener("abort", resolve));
    },
    async collect(requests) {
      const texts: string[] = [];
      for await (const { text } of requests) texts.push(text);
      return { texts };
    },
    async *chat(requests) {
      for await (const request of requests) yield { text: request.text };
    },
  });
  const gate = {
    name: "test",
    admit({ context }: Parameters<Gate["admit"]>[0]) {
      const user = context.requestHeader.get("authorization");
      if (user === "Bearer nobody1") {
        throw refusal({
          kind: "denied",
          code: Code.PermissionDenied,
          reason: "ACCESS_DENIED",
          message: "no",
        });
      }
      if (user === null) return;
      const none = {
        provider: "t",
        kind: "custom",
        issuer: undefined,
        claims: {},
        expiresAtMs: undefined,
      } as const;
      context.values.set(principalKey, {
        ...none,
        id: "ada",
        scopes: new Set<string>(),
        roles: new Set<string>(),
      });
    },
  };
  const observers = [log];
  const grpc = new GrpcServer({ port: 0, observers, gates: [gate], requestId: "any", logger: false });
  const http = new HttpServer({
    port: 0,
    upstream: grpc,
    observers,
    httpObservers: [log],
    gates: [gate],
    faces: [callingFace],
    requestId: "any",
    trustedProxies: ["127.0.0.1"],
    logger: false,
  });
  grpc.addService(echo);
  http.addService(echo);
  await grpc.start();
  await http.start();
  return {
    log,
    texts,
    port: http.address?.port ?? 0,
    grpcPort: grpc.address?.port ?? 0,
    /** The next lines, once there are so many. */
    async lines(count: number): Promise<Line[]> {
      while (texts.length < count) await turn();
      return texts.splice(0).map((text) => JSON.parse(text) as Line);
    },
    async [Symbol.asyncDispose]() {
      await http.gracefulStop({ graceMs: 0 });
      await grpc.gracefulStop({ graceMs: 0 });
    },
  };
}

test("every door writes one line for a call, with its code, messages and client", async () => {
  await using servers = await start();
  const { clients, close } = await doorClients(servers.port);
  clients.set("gRPC", through(dial(`127.0.0.1:${servers.grpcPort}`)));
  await servers.lines(1); // The handshake of the socket for many calls.
  for (const [door, client] of clients) {
    const isInner = door.startsWith("WebSocket, ") || door === "Face, several";
    const line = async (): Promise<Line> => {
      const lines = await servers.lines(isInner ? 2 : 1); // The request around a call is one of its own.
      return lines.find(({ rpc }) => rpc !== undefined) ?? assert.fail(`${door}: ${JSON.stringify(lines)}`);
    };
    await client({ rpc: "echo", requests: [{ text: "a" }], headers: { "user-agent": "ua" } });
    const good = await line();
    assert.equal(good["rpc"], "tsms.test.v1.EchoService/Echo", door);
    assert.equal(good["code"], "OK", door);
    assert.deepEqual([good["messages_in"], good["messages_out"]], [1, 1], door);
    assert.equal(good["client"], "127.0.0.1", door);
    assert.ok(Number(good["duration_ms"]) >= 0, door);
    // Of several calls of a request only the request has bytes.
    if (door !== "Face, several") assert.ok(Number(good["bytes_out"]) > 0, door);
    await client({ rpc: "repeat", requests: [{ text: "r", count: 3 }] });
    const stream = await line();
    assert.deepEqual([stream["messages_in"], stream["messages_out"]], [1, 3], door);
    await client({ rpc: "collect", requests: [{ text: "a" }, { text: "b" }] });
    const upload = await line();
    assert.deepEqual([upload["messages_in"], upload["messages_out"]], [2, 1], door);
    await client({ rpc: "echo", requests: [{ text: "fail" }] });
    assert.equal((await line())["code"], "NOT_FOUND", door);
  }
  close();
});

test("what a line says: route, target without credentials, status, principal, refusal, no route", async () => {
  await using servers = await start();
  const url = `http://127.0.0.1:${servers.port}`;
  const path = "/test/v1/echo/hi?access_token=s3cret&number=4";
  await fetch(url + path, {
    headers: {
      authorization: "Bearer ada1234",
      "user-agent": "ua \u00e9",
      "x-request-id": "mine",
      "x-forwarded-for": "192.0.2.7",
    },
  });
  const [line = {}] = await servers.lines(1);
  assert.equal(line["target"], "/test/v1/echo/hi?access_token=***&number=4");
  assert.equal(line["route"], "/test/v1/echo/{text}");
  assert.deepEqual(
    [
      line["method"],
      line["status"],
      line["code"],
      line["door"],
      line["principal"],
      line["request_id"],
      line["client"],
    ],
    ["GET", 200, "OK", "rest", "ada", "mine", "192.0.2.7"],
  );
  assert.ok(Number(line["ttfb_ms"]) <= Number(line["duration_ms"]));
  await fetch(`${url}/test/v1/echo/hi`, { headers: { authorization: "Bearer nobody1" } });
  const [refused = {}] = await servers.lines(1);
  assert.deepEqual(
    [refused["status"], refused["code"], refused["refused_by"]],
    [403, "PERMISSION_DENIED", "denied"],
  );
  await fetch(`${url}/nowhere`);
  const [nowhere = {}] = await servers.lines(1);
  assert.deepEqual([nowhere["status"], nowhere["refused_by"], nowhere["rpc"]], [404, "no_route", undefined]);
  assert.doesNotMatch(JSON.stringify([line, refused, nowhere]), /s3cret|ada1234|nobody1/);
  const denied = through(dial(`127.0.0.1:${servers.grpcPort}`));
  await denied({ rpc: "echo", requests: [{}], headers: { authorization: "Bearer nobody1" } });
  const [overGrpc = {}] = await servers.lines(1);
  assert.deepEqual([overGrpc["refused_by"], overGrpc["door"], overGrpc["status"]], ["denied", "grpc", 200]);
  const session = http2.connect(`http://127.0.0.1:${servers.grpcPort}`);
  const rpc = "/tsms.test.v1.EchoService/Echo";
  const request = session.request({ ":method": "POST", ":path": rpc, "content-type": "text/plain" });
  request.end().resume();
  await once(request, "response");
  session.close();
  const [noCall = {}] = await servers.lines(1);
  assert.deepEqual([noCall["refused_by"], noCall["door"], noCall["status"]], ["malformed", "grpc", 415]);
});

test("a client that leaves is a line with 499", async () => {
  await using servers = await start();
  const socket = connect(servers.port, "127.0.0.1");
  socket.write(
    "POST /tsms.test.v1.EchoService/Repeat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n" +
      '{"text":"hang", "count": 1}',
  );
  await new Promise((resolve) => socket.once("data", resolve));
  socket.destroy();
  const [http = {}] = await servers.lines(1);
  assert.deepEqual([http["status"], http["code"], http["messages_out"]], [499, "CANCELLED", 1]);
  const leaving = new AbortController();
  const client = createClient(EchoService, dial(`127.0.0.1:${servers.grpcPort}`));
  await assert.rejects(async () => {
    for await (const _ of client.repeat({ text: "hang", count: 1 }, { signal: leaving.signal }))
      leaving.abort();
  });
  const [grpc = {}] = await servers.lines(1);
  assert.deepEqual([grpc["status"], grpc["code"], grpc["door"]], [499, "CANCELLED", "grpc"]);
});

test("the formats of Apache are one line whatever a client sends", async () => {
  for (const [format, end] of [
    ["combined", ' "-" "curl \\\\x22\\\\x5Cx"'],
    ["common", ""],
  ] as const) {
    await using servers = await start({ format });
    const url = `http://127.0.0.1:${servers.port}/test/v1/echo/a%22b?password=x`;
    await promisify(execFile)("curl", ["-s", "-A", 'curl "\\x', url]);
    while (servers.texts.length === 0) await turn();
    const pattern = `^127\\.0\\.0\\.1 - - \\[\\d\\d/\\w{3}/\\d{4}:\\d\\d:\\d\\d:\\d\\d \\+0000\\] "GET /test/v1/echo/a%22b\\?password=\\*\\*\\* HTTP/1\\.1" 200 \\d+${end}\\n$`;
    assert.match(servers.texts[0] ?? "", new RegExp(pattern));
  }
});

test("sampling leaves good calls out, and never refused or slow ones; rules change in use", async () => {
  await using servers = await start({ sampleOk: 0 });
  const url = `http://127.0.0.1:${servers.port}/test/v1/echo/`;
  await (await fetch(`${url}good`)).text();
  await (await fetch(`${url}fail`)).text();
  const lines = await servers.lines(1);
  assert.deepEqual(
    lines.map(({ code }) => code),
    ["NOT_FOUND"],
  );
  servers.log.update({ slowMs: 0 });
  await (await fetch(`${url}good`)).text();
  assert.equal((await servers.lines(1))[0]?.["code"], "OK");
  servers.log.update({ enabled: false });
  await (await fetch(`${url}fail`)).text();
  assert.equal(servers.texts.length, 0);
});

test("O11: of failed calls of one rpc and code so many lines a second are written, and one says how many were left out", async () => {
  await using servers = await start({ maxPerSecond: 5 });
  const url = `http://127.0.0.1:${servers.port}/test/v1/echo/fail`;
  for (let i = 0; i < 20; i++) await (await fetch(url)).text();
  const lines = await servers.lines(6);
  assert.equal(lines.filter(({ status }) => status === 404).length, 5);
  const last = lines.at(-1) ?? {};
  assert.deepEqual(
    [last["rpc"], last["code"], last["left_out"]],
    ["tsms.test.v1.EchoService/Echo", "NOT_FOUND", 15],
  );
});
