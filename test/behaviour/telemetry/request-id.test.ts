import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Code, ConnectError, createClient, type ServiceImpl } from "@connectrpc/connect";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { service } from "../../../src/core/call/service.ts";
import { dial } from "../../../src/core/dial.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { propagate } from "../../../src/core/metadata/propagate.ts";
import { type RequestIdPolicy, requestId } from "../../../src/core/metadata/request-id.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { callingFace } from "../../support/calling-face.ts";
import { doorClients, through } from "../../support/door-clients.ts";
import { SocketClient } from "../websocket/socket-client.ts";

const uuid7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** A gateway and a gRPC server, whose handlers report the ids of their requests. */
async function start(policy: RequestIdPolicy | undefined, dialled: "in-process" | "network" = "in-process") {
  const seen: string[] = [];
  const note = (context: Parameters<typeof requestId>[0]): void => void seen.push(requestId(context));
  const echo = service(EchoService, {
    echo(request, context) {
      note(context);
      if (request.text === "fail") throw new ConnectError("no", Code.NotFound);
      return { text: request.text };
    },
    async *repeat(request, context) {
      note(context);
      for (let i = 0; i < request.count; i++) yield { text: request.text };
    },
    async collect(requests, context) {
      note(context);
      for await (const _ of requests) if (_.text === "never") break;
      return {};
    },
    async *chat(requests, context) {
      note(context);
      for await (const request of requests) yield { text: request.text };
    },
  } satisfies Partial<ServiceImpl<typeof EchoService>>);
  const grpc = new GrpcServer({ port: 0, requestId: policy, logger: false });
  const http = new HttpServer({
    port: 0,
    upstream: grpc,
    grpc,
    dial: dialled,
    faces: [callingFace],
    requestId: policy,
    logger: false,
  });
  grpc.addService(echo);
  http.addService(echo);
  await grpc.start();
  await http.start();
  return {
    seen,
    port: http.address?.port ?? 0,
    grpcPort: grpc.address?.port ?? 0,
    async [Symbol.asyncDispose]() {
      await http.gracefulStop({ graceMs: 0 });
      await grpc.gracefulStop({ graceMs: 0 });
    },
  };
}

const calls = {
  echo: { rpc: "echo", requests: [{ text: "a" }] },
  failing: { rpc: "echo", requests: [{ text: "fail" }] },
  repeat: { rpc: "repeat", requests: [{ text: "r", count: 2 }] },
  collect: { rpc: "collect", requests: [{ text: "a" }, { text: "b" }] },
  chat: { rpc: "chat", requests: [{ text: "a" }, { text: "b" }] },
} as const;

for (const dialled of ["in-process", "network"] as const) {
  test(`every door answers with the id that the handler has, ${dialled}`, async () => {
    await using servers = await start("any", dialled);
    const { clients, close } = await doorClients(servers.port);
    const grpc = createGrpcTransport({ baseUrl: `http://127.0.0.1:${servers.grpcPort}` });
    clients.set("gRPC, foreign client", through(grpc));
    clients.set("gRPC, own client", through(dial(`127.0.0.1:${servers.grpcPort}`)));
    try {
      for (const [door, client] of clients) {
        for (const [name, call] of Object.entries(calls)) {
          if (/ GET, |HTTP\/1\.1/.test(door) && name === "chat") continue; // Both streams at once need HTTP/2.
          servers.seen.length = 0;
          const made = await client(call);
          assert.match(made.requestId ?? "", uuid7, `${door}, ${name}`);
          assert.deepEqual(servers.seen, [made.requestId], `${door}, ${name}`);
          const sent = await client({ ...call, headers: { "x-request-id": "my-id:1.2_3" } });
          assert.equal(sent.requestId, "my-id:1.2_3", `${door}, ${name}`);
          assert.equal(servers.seen[1], "my-id:1.2_3", `${door}, ${name}`);
          if (name !== "echo") continue;
          const bad = await client({ ...call, headers: { "x-request-id": "no id" } });
          assert.match(bad.requestId ?? "", uuid7, `${door}, ${name}`);
          assert.equal(servers.seen[2], bad.requestId, `${door}, ${name}`);
        }
      }
    } finally {
      close();
    }
  });
}

test("answers without a call have an id too: no route, a bad method, health, a preflight, no rpc", async () => {
  await using servers = await start("any");
  const url = `http://127.0.0.1:${servers.port}`;
  const headersOf = async (...args: string[]): Promise<string> => {
    const fixed = ["-s", "-o", "-", "-D", "-", "-H", "x-request-id: mine"];
    return (await promisify(execFile)("curl", [...fixed, ...args])).stdout;
  };
  for (const path of ["/nowhere", "/readyz", "/v1/%zz"]) {
    for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
      assert.match(await headersOf(version, url + path), /^x-request-id: mine\r$/m, `${version} ${path}`);
    }
  }
  assert.match(await headersOf("-X", "DELETE", `${url}/readyz`), /^x-request-id: mine\r$/m);
  const grpc = [
    "--http2-prior-knowledge",
    "-X",
    "POST",
    "-H",
    "content-type: application/grpc",
    "-H",
    "te: trailers",
  ];
  const unknown = await headersOf(...grpc, `http://127.0.0.1:${servers.grpcPort}/test.Nothing/Echo`);
  assert.match(unknown, /^grpc-status: 12\r$/m);
  assert.match(unknown, /^x-request-id: mine\r$/m);
});

test("a handshake of WebSockets is answered with the id", async () => {
  await using servers = await start("any");
  const socket = new SocketClient(`ws://127.0.0.1:${servers.port}/ws`, ["json"], {
    headers: { "x-request-id": "mine" },
  });
  const answered = new Promise<string | string[] | undefined>((resolve) => {
    socket.ws.once("upgrade", ({ headers }) => resolve(headers["x-request-id"]));
  });
  await socket.open();
  assert.equal(await answered, "mine");
  socket.ws.terminate();
});

test("with never, no client's id is taken; without the option no answer has one, and handlers have one still", async () => {
  {
    await using servers = await start("never");
    const { clients, close } = await doorClients(servers.port);
    for (const [door, client] of clients) {
      const { requestId: id } = await client({ ...calls.echo, headers: { "x-request-id": "mine" } });
      assert.match(id ?? "", uuid7, door);
    }
    close();
  }
  await using servers = await start(undefined);
  const { clients, close } = await doorClients(servers.port);
  for (const [door, client] of clients) {
    assert.equal((await client(calls.echo)).requestId, undefined, door);
    assert.match(servers.seen.at(-1) ?? "", uuid7, door);
    await client({ ...calls.echo, headers: { "x-request-id": "mine" } });
    assert.equal(servers.seen.at(-1), "mine", door);
  }
  close();
});

test("a call that a handler makes by propagate has the id of its request", async () => {
  await using inner = await start("any");
  const upstream = createClient(EchoService, dial(`127.0.0.1:${inner.grpcPort}`));
  const grpc = new GrpcServer({ port: 0, logger: false });
  grpc.addService(
    service(EchoService, { echo: (request, context) => upstream.echo(request, propagate(context)) }),
  );
  await grpc.start();
  const client = createClient(EchoService, dial(`127.0.0.1:${grpc.address?.port}`));
  await client.echo({}, { headers: { "x-request-id": "outer" } });
  await client.echo({});
  assert.equal(inner.seen[0], "outer");
  assert.match(inner.seen[1] ?? "", uuid7);
  await grpc.gracefulStop({ graceMs: 0 });
});

test("with trusted, ids are taken from trusted proxies and peers", async () => {
  const upstream = new GrpcServer({
    port: 0,
    requestId: "trusted",
    trustedPeers: "everybody",
    logger: false,
  });
  upstream.addService(service(EchoService, { echo: () => ({}) }));
  await upstream.start();
  for (const [trustedProxies, isTaken] of [
    [["127.0.0.0/8"], true],
    [["10.0.0.0/8"], false],
    [[], false],
  ] as const) {
    await using http = new HttpServer({
      port: 0,
      upstream,
      requestId: "trusted",
      trustedProxies,
      logger: false,
    });
    http.addService(upstream.services[0] ?? EchoService);
    await http.start();
    const { headers } = await fetch(`http://127.0.0.1:${http.address?.port}/readyz`, {
      headers: { "x-request-id": "mine" },
    });
    assert.equal(headers.get("x-request-id") === "mine", isTaken, trustedProxies.join());
  }
  const client = through(dial(`127.0.0.1:${upstream.address?.port}`));
  assert.equal((await client({ ...calls.echo, headers: { "x-request-id": "mine" } })).requestId, "mine");
  await upstream.gracefulStop({ graceMs: 0 });
});
