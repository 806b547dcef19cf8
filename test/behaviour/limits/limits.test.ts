import { strict as assert } from "node:assert";
import { after, before, suite, test } from "node:test";
import { toBinary, create } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Client, credentials, Metadata, status, type ServiceError } from "@grpc/grpc-js";
import { EchoRequestSchema, EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { dial } from "../../../src/core/dial.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { Limiter } from "../../../src/core/limits/limiter.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { isBeyond } from "../../contracts/door-calls.ts";
import { callingFace } from "../../support/calling-face.ts";
import { type DoorClient, doorClients, through } from "../../support/door-clients.ts";
import { Echo } from "../../support/echo-service.ts";
import { run } from "../../support/program.ts";
import { testServerEngine } from "../../support/test-engine.ts";
import { SocketClient } from "../websocket/socket-client.ts";

const limiter = new Limiter({
  all: { rpc: ["tsms.test.v1.EchoService/*"], key: ["global"], rate: "2/1h" },
  user: { rpc: ["tsms.test.v1.EchoService/Repeat"], key: ["header:x-user"], rate: "1/1h" },
  streams: { rpc: ["tsms.test.v1.EchoService/Chat"], key: ["global"], concurrent: 1 },
});
const proxied = new Limiter({ ip: { key: ["ip"], rate: "1/1h" } });
const gates = [limiter.beforeAuthentication, limiter.behindAuthentication];
const echo = new Echo();
const grpc = new GrpcServer({ port: 0, gates, logger: false }).addService(echo);
const bare = new GrpcServer({ listen: false, logger: false }).addService(echo);
const http = new HttpServer({
  port: 0,
  upstream: bare,
  gates,
  faces: [callingFace],
  logger: false,
  ...testServerEngine,
});
const behindProxy = new HttpServer({
  port: 0,
  upstream: bare,
  gates: [proxied.beforeAuthentication],
  trustedProxies: ["127.0.0.1"],
  logger: false,
  ...testServerEngine,
});
const clients = new Map<string, DoorClient>();
const close: (() => void)[] = [];
const { echo: method } = EchoService.method;
const level = method.idempotency;
let url = "";

// A suite, since the mark would be on the contract of all other files of the process, too.
suite("limits through all doors:", () => {
  before(async () => {
    Object.assign(method, { idempotency: MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS });
    await grpc.start();
    const overNetwork = dial(`127.0.0.1:${grpc.address?.port}`);
    close.push(() => overNetwork.close());
    clients.set("gRPC", through(overNetwork));
    clients.set("in process", through(dial(grpc)));
    for (const server of [http, behindProxy]) await server.addService(EchoService).start();
    const port = http.address?.port ?? 0;
    url = `http://127.0.0.1:${port}`;
    const doors = await doorClients(port, "");
    for (const [name, client] of doors.clients) clients.set(name, client);
    close.push(doors.close);
  });

  after(async () => {
    Object.assign(method, { idempotency: level });
    for (const each of close) each();
    for (const server of [http, behindProxy, grpc]) await server.gracefulStop({ graceMs: 0 });
  });

  test("R1 R7 through every door as many calls pass as may, and the next is RESOURCE_EXHAUSTED", async () => {
    const call = { rpc: "echo", requests: [{ text: "a" }] } as const;
    assert.ok(clients.size > 8);
    for (const [name, client] of clients) {
      if (isBeyond(name, call)) continue;
      await limiter.reset("all");
      for (let at = 0; at < 2; at++) assert.equal((await client(call)).failure, undefined, name);
      if (name.startsWith("WebSocket, ") && !name.includes("many")) {
        const socket = new SocketClient(`${url.replace("http", "ws")}/${EchoService.typeName}/Echo`, [
          "json",
        ]);
        const { status: refusedBy, body } = await socket.refused();
        assert.deepEqual(
          [refusedBy, (JSON.parse(body) as { code: Code }).code],
          [429, Code.ResourceExhausted],
        );
        continue;
      }
      const { failure } = await client(call);
      assert.equal(failure?.code, Code.ResourceExhausted, name);
      assert.equal(failure.message, "the limit all (2/1h) is used up", name);
      assert.deepEqual(failure.reasons, ["RATE_LIMIT_EXCEEDED"], name);
    }
  });

  test("R7 R8 curl gets the headers of what is left, and of when to come again", async () => {
    await limiter.reset("all");
    const ask = async (): Promise<string> =>
      (await run("curl", "-si", `${url}/test/v1/echo/a`)).stdout.toLowerCase();
    const good = await ask();
    assert.match(good, /^http\/1\.1 200/);
    assert.match(good, /^ratelimit-policy: "all";q=2;w=3600\r$/m);
    assert.match(good, /^ratelimit: "all";r=1;t=3600\r$/m);
    await ask();
    const refused = await ask();
    assert.match(refused, /^http\/1\.1 429/);
    assert.match(refused, /^retry-after: 3600\r$/m);
    assert.match(refused, /^ratelimit: "all";r=0;t=3600\r$/m);
    assert.match(refused, /"@type":"type.googleapis.com\/google.rpc.quotafailure"/);
  });

  test("R1 a call that a second limit refuses takes nothing of the first one", async () => {
    await limiter.reset("all");
    const repeat = clients.get("gRPC") ?? assert.fail();
    const one = { rpc: "repeat", requests: [{ text: "a", count: 1 }] } as const;
    const bob = { ...one, headers: { "x-user": "bob" } };
    const eve = { ...one, headers: { "x-user": "eve" } };
    assert.equal((await repeat(bob)).failure, undefined);
    for (let at = 0; at < 3; at++) assert.equal((await repeat(bob)).failure?.code, Code.ResourceExhausted);
    assert.equal((await repeat(eve)).failure, undefined);
    assert.equal((await limiter.usage("all")).used, 2);
  });

  test("R7 R8 grpc-js gets initial metadata of what is left, and pushback in the trailers", async () => {
    await limiter.reset("all");
    const client = new Client(`127.0.0.1:${grpc.address?.port}`, credentials.createInsecure());
    const ask = (): Promise<{ initial: Metadata; error: ServiceError | null }> =>
      new Promise((resolve) => {
        let initial = new Metadata();
        client
          .makeUnaryRequest(
            `/${EchoService.typeName}/Echo`,
            (request: Uint8Array) => Buffer.from(request),
            (reply: Buffer) => reply,
            toBinary(EchoRequestSchema, create(EchoRequestSchema, { text: "a" })),
            (error) => setImmediate(() => resolve({ initial, error })),
          )
          .on("metadata", (metadata) => (initial = metadata));
      });
    try {
      const { initial, error } = await ask();
      assert.equal(error, null);
      assert.deepEqual(initial.get("ratelimit"), ['"all";r=1;t=3600']);
      await ask();
      const refused = (await ask()).error;
      assert.equal(refused?.code, status.RESOURCE_EXHAUSTED);
      const [pushback] = refused.metadata.get("grpc-retry-pushback-ms");
      assert.ok(Number(pushback) > 3_500_000 && Number(pushback) <= 3_600_000, `${String(pushback)}`);
      assert.deepEqual(refused.metadata.get("ratelimit"), ['"all";r=0;t=3600']);
    } finally {
      client.close();
    }
  });

  test("R1 a stream is open until it ends, or its client has left", async () => {
    await limiter.reset("all");
    const open = await fetch(`${url}/tsms.test.v1.EchoService/Chat`, {
      method: "POST",
      headers: { "content-type": "application/x-ndjson" },
      body: new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode('{"text":"a"}\n'));
        },
      }),
      duplex: "half",
    });
    assert.equal(open.status, 200);
    assert.equal(limiter.openCalls, 1);
    const chat = clients.get("gRPC") ?? assert.fail();
    const call = { rpc: "chat", requests: [{ text: "a" }] } as const;
    const { failure } = await chat(call);
    assert.equal(failure?.message, "the limit streams allows 1 open calls");
    await open.body?.cancel();
    while (limiter.openCalls > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal((await chat(call)).failure, undefined);
  });

  test("O03 H27 the key of an address cannot be spoofed", async () => {
    const { port } = behindProxy.address ?? assert.fail();
    const ask = async (...forwarded: readonly string[]): Promise<number> => {
      const headers = forwarded.map((value): [string, string] => ["x-forwarded-for", value]);
      return (await fetch(`http://127.0.0.1:${port}/test/v1/echo/a`, { headers })).status;
    };
    assert.deepEqual([await ask("203.0.113.1"), await ask("203.0.113.1")], [200, 429]);
    assert.equal(await ask("198.51.100.7, 203.0.113.1"), 429, "what a client has sent does not count");
    assert.equal(await ask("203.0.113.2"), 200);
    const direct = async (): Promise<number> =>
      (await fetch(`${url}/test/v1/echo/a`, { headers: { "x-forwarded-for": `203.0.113.${Math.random()}` } }))
        .status;
    await limiter.reset("all");
    assert.deepEqual([await direct(), await direct(), await direct()], [200, 200, 429]);
  });
});
