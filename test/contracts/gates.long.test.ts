/**
 * The contract of gates: every door asks them once per call, before it reads a body, and refuses in its own way.
 */
import { strict as assert } from "node:assert";
import { connect as connectHttp2 } from "node:http2";
import { after, before, describe, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { EchoRequestSchema, EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";
import type { CallHead } from "../../src/core/admission/call-head.ts";
import type { Gate } from "../../src/core/admission/gate.ts";
import { refusal } from "../../src/core/admission/refusal.ts";
import { dial } from "../../src/core/dial.ts";
import type { CallObserver, RefusedCall } from "../../src/core/call/observer.ts";
import { GrpcServer } from "../../src/core/grpc-server.ts";
import { HttpServer } from "../../src/gateway/http-server.ts";
import { SocketClient, within } from "../behaviour/websocket/socket-client.ts";
import { callingFace } from "../support/calling-face.ts";
import { type Call, type DoorClient, doorClients, through } from "../support/door-clients.ts";
import { Echo } from "../support/echo-service.ts";
import { bodyOf, exchangeBytes, statusOf } from "../support/gateway-fixture.ts";
import { testServerEngine } from "../support/test-engine.ts";
import { isBeyond } from "./door-calls.ts";

const { echo: method } = EchoService.method;

/** A gate that does what a test says, and keeps what it was asked. */
class TestGate implements Gate {
  readonly name = "test";
  readonly asked: { readonly door: string; readonly rpc: string; readonly signal: () => AbortSignal }[] = [];
  decide: (call: CallHead) => void | Promise<void> = () => {};

  admit(call: CallHead): void | Promise<void> {
    const { door, context } = call;
    this.asked.push({ door, rpc: call.method.name, signal: () => context.signal });
    return this.decide(call);
  }
}

/** Counts how calls are reported. */
class Reports implements CallObserver {
  started_ = 0;
  finished_: (Code | undefined)[] = [];
  refused_: RefusedCall[] = [];

  started(): void {
    this.started_++;
  }

  finished(_context: unknown, error: ConnectError | undefined): void {
    this.finished_.push(error?.code);
  }

  refused(call: RefusedCall): void {
    this.refused_.push(call);
  }

  reset(): void {
    this.started_ = 0;
    this.finished_ = [];
    this.refused_ = [];
  }
}

const denied = (): ConnectError =>
  refusal({
    kind: "denied",
    code: Code.PermissionDenied,
    reason: "ACCESS_DENIED",
    message: "not for you",
    metadata: { gate: "test" },
    headers: { "x-own": "o" },
  });

const gate = new TestGate();
const reports = new Reports();
const echo = new Echo();
const common = { gates: [gate], observers: [reports], logger: false as const };
const servers = {
  own: new GrpcServer({ port: 0, ...common }).addService(echo),
  js: new GrpcServer({ port: 0, engine: "grpc-js", ...common }).addService(echo),
};
const bare = new GrpcServer({ listen: false, logger: false }).addService(echo);
const faces = [callingFace];
const http = new HttpServer({ port: 0, upstream: bare, faces, ...common, ...testServerEngine });
const node = new HttpServer({ port: 0, upstream: bare, faces, ...common, engine: "node" });
const clients = new Map<string, DoorClient>();
const close: (() => void)[] = [];
const level = method.idempotency;

before(async () => {
  Object.assign(method, { idempotency: MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS });
  for (const [name, grpc] of Object.entries(servers)) {
    await grpc.start();
    clients.set(`in process, ${name}`, through(dial(grpc)));
    const overNetwork = dial(`127.0.0.1:${grpc.address?.port}`);
    close.push(() => overNetwork.close());
    clients.set(`gRPC, ${name}`, through(overNetwork));
  }
  for (const [name, server] of [
    ["", http],
    [", by node", node],
  ] as const) {
    server.addService(EchoService);
    await server.start();
    const of = await doorClients(server.address?.port ?? 0, name);
    for (const [client, make] of of.clients) clients.set(client, make);
    close.push(of.close);
  }
});

after(async () => {
  Object.assign(method, { idempotency: level });
  for (const each of close) each();
  await Promise.all([http, node].map((server) => server.gracefulStop({ graceMs: 0 })));
  await Promise.all(Object.values(servers).map((server) => server.gracefulStop({ graceMs: 0 })));
});

/** Sockets for one call are refused by a plain answer to their handshake. */
const isRouteSocket = (client: string): boolean =>
  client.startsWith("WebSocket, ") && !client.includes("many");

/** Clients of `dial`. */
const ofOurs = /^(?:in process|gRPC), /;

/** The name of the door by that of a client. */
function doorOf(client: string, { rpc }: Call): string {
  if (client.startsWith("in process")) return "in-process";
  if (client.startsWith("gRPC-Web")) return "grpc-web";
  if (client.startsWith("gRPC")) return "grpc";
  if (client.startsWith("Connect")) return "connect";
  if (client.startsWith("WebSocket")) return "websocket";
  if (client.startsWith("SSE")) return "sse";
  if (client.startsWith("Face")) return "mcp";
  return rpc === "repeat" || rpc === "chat" ? "ndjson" : "rest";
}

const calls: readonly Call[] = [
  { rpc: "echo", requests: [{ text: "a" }] },
  { rpc: "repeat", requests: [{ text: "a", count: 2 }] },
  { rpc: "collect", requests: [{ text: "a" }, { text: "b" }] },
  { rpc: "chat", requests: [{ text: "a" }, { text: "b" }] },
];

/** What the calls of a row have to come to. */
interface Row {
  readonly decide: TestGate["decide"];
  readonly failure:
    | { readonly code: Code; readonly message: string; readonly reasons: readonly string[] }
    | undefined;
  readonly refused: boolean;
}

const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const refused = { code: Code.PermissionDenied, message: "not for you", reasons: ["ACCESS_DENIED"] };
const broken = { code: Code.Internal, message: "internal error", reasons: [] };

const rows: Readonly<Record<string, Row>> = {
  "refuses at once": {
    decide: () => {
      throw denied();
    },
    failure: refused,
    refused: true,
  },
  "refuses later": {
    decide: () =>
      later().then(() => {
        throw denied();
      }),
    failure: refused,
    refused: true,
  },
  "admits at once": { decide: () => {}, failure: undefined, refused: false },
  "admits later": { decide: later, failure: undefined, refused: false },
  "throws something else": {
    decide: () => {
      throw new TypeError("secret");
    },
    failure: broken,
    refused: false,
  },
  "rejects with something else": {
    decide: () =>
      later().then(() => {
        throw new DOMException("secret", "TimeoutError");
      }),
    failure: broken,
    refused: false,
  },
};

for (const [name, row] of Object.entries(rows)) {
  describe(`a gate that ${name}`, () => {
    for (const call of calls) {
      test(call.rpc, async () => {
        gate.decide = row.decide;
        for (const [client, make] of clients) {
          if (isBeyond(client, call)) continue;
          gate.asked.length = 0;
          reports.reset();
          const { calls: before } = echo;
          if (isRouteSocket(client) && row.failure !== undefined) {
            await refusedHandshake(client, call, row);
          } else {
            const { failure } = await make(call);
            assert.deepEqual(failure, row.failure, client);
          }
          const asked = gate.asked.map(({ door, rpc }) => [door, rpc]);
          const rpc = EchoService.method[call.rpc].name;
          assert.deepEqual(asked, [[doorOf(client, call), rpc]], client);
          assert.equal(echo.calls - before, row.failure === undefined ? 1 : 0, client);
          await ended(client, row);
        }
      });
    }
  });
}

/** Every call is either refused, or started and finished. */
async function ended(client: string, { refused: isRefused, failure }: Row): Promise<void> {
  await within(
    (async () => {
      while (reports.refused_.length + reports.finished_.length === 0) await later();
    })(),
    `the report of ${client}`,
  );
  const { started_, finished_, refused_ } = reports;
  if (isRefused) {
    assert.deepEqual([started_, finished_, refused_.length], [0, [], 1], client);
    const [{ kind, method: found, error } = assert.fail()] = refused_;
    assert.deepEqual(
      [kind, found?.parent.typeName, error.code],
      ["denied", EchoService.typeName, failure?.code],
    );
  } else {
    assert.deepEqual([started_, finished_, refused_.length], [1, [failure?.code], 0], client);
  }
}

async function refusedHandshake(client: string, call: Call, { failure }: Row): Promise<void> {
  const port = (client.includes("by node") ? node : http).address?.port ?? 0;
  const path = `/${EchoService.typeName}/${EchoService.method[call.rpc].name}`;
  const socket = new SocketClient(`ws://127.0.0.1:${port}${path}`, ["json"]);
  const { status, body } = await socket.refused();
  const expected = failure?.code === Code.PermissionDenied ? 403 : 500;
  const { code, message } = JSON.parse(body) as { code: Code; message: string };
  assert.deepEqual([status, code, message], [expected, failure?.code, failure?.message], client);
}

test("what waits for a gate ends with the time of its call", async () => {
  gate.decide = () => new Promise(() => {});
  const timed = (ms: number) => ({ "grpc-timeout": `${ms}m`, "connect-timeout-ms": `${ms}` });
  const headers = timed(60);
  const { calls: begun } = echo;
  for (const call of calls) {
    const able = [...clients].filter(([client]) => !isBeyond(client, call) && !isRouteSocket(client));
    for (const [client, make] of able) {
      if (ofOurs.test(client)) continue; // These have another way to say so.
      gate.asked.length = 0;
      // On a slow machine the time may be over before the gate is asked, above all that of a client's first call.
      for (const ms of [60, 1_000, 5_000]) {
        reports.reset();
        const { failure } = await make({ ...call, headers: timed(ms) });
        assert.equal(failure?.code, Code.DeadlineExceeded, client);
        if (gate.asked.length > 0) break;
      }
      assert.equal(gate.asked[0]?.signal().aborted, true, client);
      assert.deepEqual([reports.refused_.length, reports.finished_], [0, [Code.DeadlineExceeded]], client);
    }
  }
  for (const server of Object.values(servers)) {
    for (const network of [false, true]) {
      const transport = dial(server, { network });
      const client = createClient(EchoService, transport);
      const error = await client.echo({ text: "a" }, { timeoutMs: 60 }).catch((reason: unknown) => reason);
      assert.ok(error instanceof ConnectError && error.code === Code.DeadlineExceeded);
      transport.close();
    }
  }
  const socket = new SocketClient(
    `ws://127.0.0.1:${http.address?.port}/${EchoService.typeName}/Echo`,
    ["json"],
    {
      headers,
    },
  );
  assert.equal((await socket.refused()).status, 504);
  assert.equal(echo.calls, begun);
});

test("the default time of a call bounds its gates", async (t) => {
  gate.decide = () => new Promise(() => {});
  const brief = new HttpServer({ port: 0, upstream: bare, ...common, defaultTimeoutMs: 60 });
  brief.addService(EchoService);
  await brief.start();
  t.after(() => brief.gracefulStop({ graceMs: 0 }));
  const answer = await fetch(`http://127.0.0.1:${brief.address?.port}/test/v1/echo/a`);
  assert.equal(answer.status, 504);
});

test("a client that leaves ends what waits for a gate", async () => {
  gate.decide = () => new Promise(() => {});
  for (const call of calls) {
    const able = [...clients].filter(([client]) => !isBeyond(client, call) && !isRouteSocket(client));
    for (const [client, make] of able) {
      gate.asked.length = 0;
      const leaving = new AbortController();
      const outcome = make({ ...call, signal: leaving.signal }).catch(() => undefined);
      await within(
        (async () => {
          while (gate.asked.length === 0) await later();
        })(),
        `the question about ${client}`,
      );
      const signal = gate.asked[0]?.signal() ?? assert.fail();
      leaving.abort();
      await outcome;
      if (!signal.aborted) {
        await within(
          new Promise((resolve) => signal.addEventListener("abort", resolve)),
          `the abort of ${client}`,
        );
      }
    }
  }
});

/** Heads of requests whose bodies never come, over HTTP/1.1. */
const heads: Readonly<Record<string, string>> = {
  "REST unary": "POST /tsms.test.v1.EchoService/Echo HTTP/1.1\r\ncontent-type: application/json\r\n",
  "REST, too large":
    "POST /tsms.test.v1.EchoService/Echo HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 9999999999\r\n",
  "REST with a type that is not read":
    "POST /tsms.test.v1.EchoService/Echo HTTP/1.1\r\ncontent-type: text/plain\r\n",
  "NDJSON upload":
    "POST /tsms.test.v1.EchoService/Collect HTTP/1.1\r\ncontent-type: application/x-ndjson\r\n",
  SSE: "POST /tsms.test.v1.EchoService/Repeat HTTP/1.1\r\ncontent-type: application/json\r\naccept: text/event-stream\r\n",
  "long poll":
    "POST /tsms.test.v1.EchoService/Repeat HTTP/1.1\r\ncontent-type: application/json\r\nprefer: wait=1\r\n",
  Connect:
    "POST /tsms.test.v1.EchoService/Echo HTTP/1.1\r\ncontent-type: application/json\r\nconnect-protocol-version: 1\r\n",
  "Connect stream":
    "POST /tsms.test.v1.EchoService/Chat HTTP/1.1\r\ncontent-type: application/connect+json\r\n",
  "gRPC-Web": "POST /tsms.test.v1.EchoService/Echo HTTP/1.1\r\ncontent-type: application/grpc-web+proto\r\n",
};

describe("a call is refused by its head, before its body has come", () => {
  for (const [name, head] of Object.entries(heads)) {
    for (const decide of [rows["refuses at once"], rows["refuses later"]]) {
      test(`${name}${decide === rows["refuses later"] ? ", later" : ""}`, async () => {
        gate.decide = decide?.decide ?? assert.fail();
        const length = head.includes("content-length") ? "" : "content-length: 1000\r\n";
        const port = http.address?.port ?? 0;
        const answer = await exchangeBytes(port, `${head}host: localhost\r\n${length}\r\n`, (text) =>
          /not for you|grpc-status/.test(text),
        );
        assert.match(answer, /not for you|grpc-status: ?7/, name);
        const isEnveloped = /connect\+|grpc-web/.test(head);
        assert.equal(statusOf(answer), isEnveloped ? 200 : 403, answer);
        assert.ok(isEnveloped || bodyOf(answer).length > 0);
      });
    }
  }

  for (const [name, server] of Object.entries({ ...servers, "HTTP port": http })) {
    test(`gRPC, ${name}`, async () => {
      gate.decide = rows["refuses later"]?.decide ?? assert.fail();
      const session = connectHttp2(`http://127.0.0.1:${server.address?.port}`);
      const stream = session.request({
        ":method": "POST",
        ":path": "/tsms.test.v1.EchoService/Collect",
        "content-type": "application/grpc",
        te: "trailers",
      });
      const [status, more] = await within(
        new Promise<[unknown, unknown]>((resolve) => {
          stream.on("response", (fields) => resolve([fields["grpc-status"], fields["x-own"]]));
        }),
        "the trailers",
      );
      session.destroy();
      assert.deepEqual([status, more], ["7", "o"]);
    });
  }
});

test("calls that a gateway has admitted are not asked about again in process", async (t) => {
  gate.decide = () => {};
  const other = new TestGate();
  const inner = new GrpcServer({ listen: true, port: 0, gates: [gate, other], logger: false }).addService(
    new Echo(),
  );
  await inner.start();
  const gateways = [
    new HttpServer({ port: 0, upstream: inner, gates: [gate], logger: false }),
    new HttpServer({ port: 0, upstream: inner, gates: [gate], dial: "network", logger: false }),
  ];
  t.after(async () => {
    for (const gateway of gateways) await gateway.gracefulStop({ graceMs: 0 });
    await inner.gracefulStop({ graceMs: 0 });
  });
  const doors: string[][] = [];
  for (const gateway of gateways) {
    gateway.addService(EchoService);
    await gateway.start();
    gate.asked.length = other.asked.length = 0;
    const answer = await fetch(`http://127.0.0.1:${gateway.address?.port}/test/v1/echo/a`);
    assert.equal(answer.status, 200);
    doors.push([gate, other].map(({ asked }) => asked.map(({ door }) => door).join()));
    const ready = await fetch(`http://127.0.0.1:${gateway.address?.port}/readyz`);
    assert.equal(ready.status, 200);
  }
  assert.deepEqual(doors, [
    ["rest", "in-process"],
    ["rest,grpc", "grpc"],
  ]);
});

test("a gate is asked about the rpcs that concern it, and no other", async (t) => {
  const some: Gate = {
    name: "some",
    concerns: ({ name }) => name === "Collect",
    admit() {
      throw denied();
    },
  };
  const server = new GrpcServer({ listen: false, gates: [some], logger: false }).addService(new Echo());
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  const client = createClient(EchoService, dial(server));
  assert.equal((await client.echo(create(EchoRequestSchema, { text: "a" }))).text, "a");
  await assert.rejects(client.collect((async function* () {})()), { code: Code.PermissionDenied });
});

test("what a gate sets as a response header is on the answer, with interceptors too", async (t) => {
  gate.decide = ({ context }) => context.responseHeader.set("x-limit", "1");
  const around = new HttpServer({
    port: 0,
    upstream: bare,
    ...common,
    interceptors: [(next) => async (request) => next(request)],
  });
  around.addService(EchoService);
  await around.start();
  t.after(() => around.gracefulStop({ graceMs: 0 }));
  for (const server of [http, around]) {
    const answer = await fetch(`http://127.0.0.1:${server.address?.port}/test/v1/echo/a`);
    assert.deepEqual([answer.status, answer.headers.get("x-limit")], [200, "1"]);
  }
});

test("a gate without a name or a function is refused at the start", () => {
  const nothing = {} as unknown as Gate;
  for (const make of [
    () => new GrpcServer({ gates: [nothing] }),
    () => new HttpServer({ upstream: bare, gates: [nothing] }),
  ]) {
    assert.throws(make, /gates: each gate needs a name and a function admit/);
  }
});
