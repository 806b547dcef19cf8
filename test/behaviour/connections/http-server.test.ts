import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { Agent, type IncomingMessage, request } from "node:http";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { promisify } from "node:util";
import { createRouterTransport } from "@connectrpc/connect";
import { GoMs } from "../../../gen/go/micro/service/goms/goms_pb.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import type { Interceptor } from "../../../src/core/call/interceptors.ts";
import type { CallObserver } from "../../../src/core/call/observer.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { Echo } from "../../support/echo-service.ts";
import {
  connectTo,
  exchangeBytes,
  readUntil,
  startGateway,
  statusOf,
} from "../../support/gateway-fixture.ts";

const curl = promisify(execFile);
const slow = "GET /test/v1/echo/a?behaviour.sleepMs=60000 HTTP/1.1\r\nHost: ok\r\n\r\n";

/** Collects what an observer hears. */
function recorder(): CallObserver & { readonly heard: string[] } {
  const heard: string[] = [];
  return {
    heard,
    started: (context) => void heard.push(`started ${context.protocolName}`),
    finished: (_context, error) => void heard.push(`finished ${error?.code ?? 0}`),
  };
}

suite("upstreams", () => {
  for (const dial of ["in-process", "network"] as const) {
    test(`a GrpcServer, ${dial}, observed once`, async () => {
      const grpcObserver = recorder();
      const httpObserver = recorder();
      const echo = new Echo();
      const grpc = new GrpcServer({ port: 0, observers: [grpcObserver] });
      const http = new HttpServer({ port: 0, upstream: grpc, dial, observers: [httpObserver] });
      grpc.addService(echo);
      http.addService(echo);
      await grpc.start();
      await http.start();
      const response = await fetch(`http://127.0.0.1:${http.address?.port}/test/v1/echo/a`, {
        headers: { authorization: "Bearer t" },
      });
      const body = (await response.json()) as {
        text: string;
        protocol: string;
        headers: Record<string, string>;
      };
      assert.equal(response.status, 200);
      assert.equal(body.text, "a");
      assert.equal(body.headers["authorization"], "Bearer t");
      assert.equal(body.protocol, dial === "network" ? "grpc" : "rest");
      assert.deepEqual(httpObserver.heard, ["started rest", "finished 0"]);
      assert.deepEqual(grpcObserver.heard, dial === "network" ? ["started grpc", "finished 0"] : []);
      await http.gracefulStop({ graceMs: 0 });
      await grpc.gracefulStop({ graceMs: 0 });
    });
  }

  test("without observers of the gateway, the server behind it tells its own", async () => {
    const observer = recorder();
    const grpc = new GrpcServer({ port: 0, observers: [observer] });
    const http = new HttpServer({ port: 0, upstream: grpc });
    grpc.addService(new Echo());
    http.addService(EchoService);
    await http.start();
    await (await fetch(`http://127.0.0.1:${http.address?.port}/test/v1/echo/a`)).arrayBuffer();
    assert.deepEqual(observer.heard, ["started rest", "finished 0"]);
    await http.gracefulStop({ graceMs: 0 });
  });

  test("T24: a target, errors of any text and deadlines included", async () => {
    const echo = new Echo();
    const grpc = new GrpcServer({ port: 0 });
    grpc.addService(echo);
    await grpc.start();
    const http = new HttpServer({ port: 0, upstream: `127.0.0.1:${grpc.address?.port}` }).addService(
      EchoService,
    );
    await http.start();
    const url = `http://127.0.0.1:${http.address?.port}/test/v1/echo`;
    const failing = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        behaviour: {
          failure: { code: 5, message: 'nö %zz\n漢 "', reasons: ["GONE"], metadata: { "x-why": "1" } },
        },
      }),
    });
    assert.equal(failing.status, 404);
    assert.equal(failing.headers.get("x-why"), "1");
    assert.equal(failing.headers.get("grpc-status"), null);
    assert.deepEqual(await failing.json(), {
      code: 5,
      message: 'nö %zz\n漢 "',
      details: [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "GONE" }],
    });
    const late = await fetch(`${url}/a?behaviour.sleepMs=60000`, { headers: { "grpc-timeout": "500m" } });
    assert.equal(late.status, 504);
    await late.arrayBuffer();
    await echo.until(({ aborted }) => aborted === 1);
    const socket = await connectTo(http.address?.port ?? 0);
    socket.write(slow);
    await echo.until(({ calls }) => calls === 3);
    socket.destroy();
    await echo.until(({ aborted }) => aborted === 2);
    await http.gracefulStop({ graceMs: 0 });
    await grpc.gracefulStop({ graceMs: 0 });
  });

  test("a transport of another maker", async () => {
    const transport = createRouterTransport((router) => {
      router.service(GoMs, { get: ({ id }) => ({ message: `got ${id}` }) });
    });
    const http = new HttpServer({ port: 0, upstream: transport }).addService(GoMs);
    await http.start();
    const { stdout } = await curl("curl", ["-s", `http://127.0.0.1:${http.address?.port}/goms/42`]);
    assert.equal(stdout, '{"message":"got 42"}');
    await http.gracefulStop({ graceMs: 0 });
  });

  test("interceptors are around the hop, the outermost first", async () => {
    const seen: string[] = [];
    const named =
      (name: string): Interceptor =>
      (next) =>
      async (req) => {
        seen.push(`${name} ${req.method.name}`);
        req.header.set(`x-${name}`, "1");
        return next(req);
      };
    await using gateway = await startGateway({ interceptors: [named("outer"), named("inner")] });
    const response = await fetch(`${gateway.url}/test/v1/echo/a`);
    const { headers } = (await response.json()) as { headers: Record<string, string> };
    assert.deepEqual(seen, ["outer Echo", "inner Echo"]);
    assert.equal(headers["x-outer"], "1");
    assert.equal(headers["x-inner"], "1");
  });
});

suite("start", () => {
  test("describe tells the address and every route", async () => {
    await using gateway = await startGateway();
    assert.deepEqual(gateway.http.describe(), [
      `[HTTP] listening on 127.0.0.1:${gateway.port}`,
      "[HTTP] POST /test/v1/echo → tsms.test.v1.EchoService/Echo",
      "[HTTP] GET /test/v1/echo/{text} → tsms.test.v1.EchoService/Echo",
      "[HTTP] GET /test/v1/repeat/{text} → tsms.test.v1.EchoService/Repeat",
      "[HTTP] POST /test/v1/collect → tsms.test.v1.EchoService/Collect",
      "[HTTP] POST /test/v1/chat → tsms.test.v1.EchoService/Chat",
    ]);
  });

  test("states follow one another", async () => {
    const states: string[] = [];
    const http = new HttpServer({ upstream: "127.0.0.1:1", port: 0 });
    assert.equal(http.state, "init");
    http.onStateChange((state) => states.push(state));
    await http.start();
    await http.gracefulStop();
    assert.deepEqual(states, ["boot", "listen", "ready", "graceful", "stop"]);
    const never = new HttpServer({ upstream: "127.0.0.1:1" });
    assert.deepEqual(await never.gracefulStop(), { finished: 0, notified: [], cut: [] });
    assert.equal(never.state, "stop");
  });

  test("a port that is taken rejects with host, port and cause, and start can be tried again", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo; // It listens on TCP.
    const http = new HttpServer({ upstream: "127.0.0.1:1", port });
    await assert.rejects(http.start(), {
      message: `HTTP cannot listen on 127.0.0.1:${port}: address already in use (EADDRINUSE)`,
    });
    assert.equal(http.state, "error");
    other.close();
    await once(other, "close");
    await http.start();
    assert.equal(http.state, "ready");
    await http.gracefulStop();
  });

  test("a Unix socket and a name with two addresses can be listened on", async () => {
    const path = join(tmpdir(), `gateway-${process.pid}.sock`);
    const unix = new HttpServer({ upstream: "127.0.0.1:1", host: `unix:${path}` });
    await unix.start();
    assert.deepEqual(unix.address, { host: `unix:${path}`, port: 0 });
    const { stdout } = await curl("curl", ["-s", "--unix-socket", path, "http://ok/livez"]);
    assert.equal(stdout, '{"status":"SERVING"}');
    await unix.gracefulStop();
    const local = new HttpServer({ upstream: "127.0.0.1:1", host: "localhost", port: 0 });
    await local.start();
    const alive = await curl("curl", ["-s", `http://localhost:${local.address?.port}/livez`]);
    assert.equal(alive.stdout, '{"status":"SERVING"}');
    await local.gracefulStop();
    await assert.rejects(curl("curl", ["-s", `http://localhost:${local.address?.port}/livez`]), { code: 7 });
  });

  test("Z08: a stop during start leaves no port bound", async () => {
    const http = new HttpServer({ upstream: "127.0.0.1:1", port: 0 });
    const starting = http.start();
    await http.gracefulStop();
    await starting;
    assert.equal(http.state, "stop");
    assert.equal(http.fastify.server.listening, false);
  });

  test("rules that select nothing reject start", async () => {
    const text = "http: { rules: [ { selector: no.such.Rpc, get: /x } ] }";
    const http = new HttpServer({ upstream: "127.0.0.1:1", port: 0, rules: [{ file: "r.yaml", text }] });
    await assert.rejects(http.start(), /r\.yaml:1:\d+: selector "no\.such\.Rpc" matches no rpc/);
    assert.equal(http.state, "error");
  });

  test("services are replaced as a whole, and a bad set changes nothing", async () => {
    await using gateway = await startGateway();
    gateway.http.replaceServices([GoMs]);
    assert.equal((await fetch(`${gateway.url}/test/v1/echo/a`)).status, 404);
    assert.equal((await fetch(`${gateway.url}/goms/1`)).status, 501);
    assert.throws(() => gateway.http.replaceServices([EchoService, EchoService]));
    assert.equal((await fetch(`${gateway.url}/goms/1`)).status, 501);
    gateway.http.replaceServices([EchoService]);
    await gateway.stillServes();
  });
});

suite("the engine's own", () => {
  test("routes, hooks and plugins of the user come first, and hooks run for rpcs", async () => {
    const hooks: string[] = [];
    await using gateway = await startGateway({}, [], ({ fastify }) => {
      fastify.get("/own/:id", (request) => ({ own: (request.params as { id: string }).id }));
      fastify.post("/own", (request) => ({ got: request.body }));
      fastify.addHook("onRequest", async (request, reply) => {
        hooks.push(`onRequest ${request.url}`);
        reply.header("x-hook", "1");
        if (request.headers["x-forbidden"] !== undefined) await reply.code(403).send({ own: "no" });
      });
      fastify.addHook("preHandler", async () => void hooks.push("preHandler"));
      fastify.addHook("onSend", async () => void hooks.push("onSend"));
      fastify.addHook("onResponse", async () => void hooks.push("onResponse"));
      void fastify.register(async (scope) => {
        scope.get("/plugin", async () => "plugged");
      });
    });
    assert.deepEqual(await (await fetch(`${gateway.url}/own/5`)).json(), { own: "5" });
    const posted = await fetch(`${gateway.url}/own`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"a":1}',
    });
    assert.deepEqual(await posted.json(), { got: { a: 1 } });
    assert.equal(await (await fetch(`${gateway.url}/plugin`)).text(), "plugged");
    hooks.length = 0;
    const call = await fetch(`${gateway.url}/test/v1/echo/a`);
    assert.equal(call.status, 200);
    assert.equal(call.headers.get("x-hook"), "1");
    await call.arrayBuffer();
    assert.deepEqual(hooks.slice(0, 3), ["onRequest /test/v1/echo/a", "preHandler", "onSend"]);
    const { calls } = gateway.echo;
    const refused = await fetch(`${gateway.url}/test/v1/echo/a`, { headers: { "x-forbidden": "1" } });
    assert.equal(refused.status, 403);
    assert.deepEqual(await refused.json(), { own: "no" });
    assert.equal(gateway.echo.calls, calls);
  });

  test("a header of a hook that cannot be written costs its connection, not the process", async () => {
    await using gateway = await startGateway({}, [], ({ fastify }) => {
      fastify.addHook("onRequest", async (request, reply) => {
        if (request.headers["x-bad"] !== undefined) reply.header("x-bad", "a\u0001b");
      });
    });
    await assert.rejects(fetch(`${gateway.url}/test/v1/echo/a`, { headers: { "x-bad": "1" } }));
    await gateway.stillServes();
  });

  test("errors of hooks and routes of the user leave in the gateway's format", async () => {
    await using gateway = await startGateway({}, [], ({ fastify }) => {
      fastify.get("/own", () => {
        throw new Error("secret");
      });
      fastify.get("/teapot", () => {
        throw Object.assign(new Error("I am a teapot"), { statusCode: 418 });
      });
    });
    const own = await fetch(`${gateway.url}/own`);
    assert.equal(own.status, 500);
    assert.deepEqual(await own.json(), { code: 13, message: "internal error", details: [] });
    const teapot = await fetch(`${gateway.url}/teapot`);
    assert.equal(teapot.status, 418);
    assert.deepEqual(await teapot.json(), { code: 9, message: "I am a teapot", details: [] });
  });
});

test("bodies of refused requests leave nothing on their connection", async () => {
  await using server = new HttpServer({
    port: 0,
    upstream: new GrpcServer({ listen: false }),
    logger: false,
  });
  await server.start();
  const warnings: string[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning.message);
  process.on("warning", onWarning);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ports = new Set<number | undefined>();
  try {
    // More than as many listeners as Node warns of.
    for (let count = 0; count < 12; count++) {
      const { port } = server.address ?? assert.fail();
      const asked = request({ host: "127.0.0.1", port, agent, method: "POST", path: "/nowhere" });
      asked.flushHeaders(); // The body comes when the answer is on its way.
      asked.end("x".repeat(100));
      const [response] = (await once(asked, "response")) as [IncomingMessage];
      ports.add(asked.socket?.localPort);
      assert.equal(response.statusCode, 404);
      await response.resume().toArray();
    }
  } finally {
    agent.destroy();
    process.off("warning", onWarning);
  }
  assert.equal(ports.size, 1);
  assert.deepEqual(warnings, []);
});

suite("stop", () => {
  test("Z01: idle connections are closed at once", async () => {
    await using gateway = await startGateway();
    const idle = await connectTo(gateway.port);
    idle.write("GET /test/v1/echo/a HTTP/1.1\r\nHost: ok\r\n\r\n");
    const [first] = (await once(idle, "data")) as [Buffer];
    assert.equal(statusOf(first.toString()), 200);
    const unused = await connectTo(gateway.port);
    const closed = Promise.all([once(idle, "close"), once(unused, "close")]);
    idle.resume();
    unused.resume();
    const began = performance.now();
    assert.deepEqual(await gateway.http.gracefulStop(), { finished: 0, notified: [], cut: [] });
    await closed;
    assert.ok(performance.now() - began < 1000);
  });

  test("Z02: a call in flight completes, with Connection: close", async () => {
    await using gateway = await startGateway();
    const socket = await connectTo(gateway.port);
    const answer = readUntil(socket, () => false);
    socket.write("GET /test/v1/echo/late?behaviour.sleepMs=500 HTTP/1.1\r\nHost: ok\r\n\r\n");
    await gateway.echo.until((echo) => echo.calls === 1);
    const stopping = gateway.http.gracefulStop();
    assert.equal(gateway.http.gracefulStop(), stopping, "a second stop is the same");
    await assert.rejects(exchangeBytes(gateway.port, "x"), { code: "ECONNREFUSED" });
    assert.deepEqual(await stopping, { finished: 1, notified: [], cut: [] });
    assert.equal(statusOf(await answer), 200);
    assert.match(await answer, /connection: close/i);
    assert.match(await answer, /"text":"late"/);
  });

  test("Z03: a request in the drain window is served with Connection: close, then connections are refused", async () => {
    await using gateway = await startGateway();
    gateway.http.drain();
    const answer = await exchangeBytes(gateway.port, "GET /test/v1/echo/a HTTP/1.1\r\nHost: ok\r\n\r\n");
    assert.equal(statusOf(answer), 200);
    assert.match(answer, /connection: close/i);
    await gateway.http.gracefulStop();
    await assert.rejects(connectTo(gateway.port), { code: "ECONNREFUSED" });
  });

  test("a call that outlives the grace is cut and named", async () => {
    await using gateway = await startGateway();
    const socket = await connectTo(gateway.port);
    const answer = readUntil(socket, () => false);
    socket.write(slow);
    await gateway.echo.until((echo) => echo.calls === 1);
    const upload = await connectTo(gateway.port);
    const cut = readUntil(upload, () => false);
    upload.write(
      "POST /test/v1/echo?x=1 HTTP/1.1\r\nHost: ok\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
    );
    await gateway.stillServes();
    const report = await gateway.http.gracefulStop({ graceMs: 100 });
    assert.deepEqual(report, {
      finished: 0,
      notified: [],
      cut: ["tsms.test.v1.EchoService/Echo", "tsms.test.v1.EchoService/Echo"],
    });
    assert.equal(statusOf(await answer), 503);
    assert.equal(gateway.echo.aborted, 1);
    assert.equal(await cut, "");
  });
});
