/**
 * The contract of the doors in `doors.ts`: the same call has the same outcome through each of them; cancellation,
 * deadlines, limits, back-pressure and a stop end calls in the same way. The clients are Connect's own, those of `ws`,
 * and plain requests of Node.
 */
import { strict as assert } from "node:assert";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, suite, test, type TestContext } from "node:test";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";
import { dial } from "../../src/core/dial.ts";
import { GrpcServer } from "../../src/core/grpc-server.ts";
import { connectDoor } from "../../src/gateway/doors/connect/connect-door.ts";
import type { MakeDoor } from "../../src/gateway/doors/door.ts";
import { doors } from "../../src/gateway/doors/doors.ts";
import { grpcDoor } from "../../src/gateway/doors/grpc/grpc-door.ts";
import { grpcWebDoor } from "../../src/gateway/doors/grpc-web/grpc-web-door.ts";
import { documentsDoor } from "../../src/gateway/doors/documents/documents-door.ts";
import { facesDoor } from "../../src/gateway/doors/faces/faces-door.ts";
import { healthDoor } from "../../src/gateway/doors/health/health-door.ts";
import { pagesDoor } from "../../src/gateway/doors/pages/pages-door.ts";
import { restDoor } from "../../src/gateway/doors/rest/rest-door.ts";
import { webSocketDoor } from "../../src/gateway/doors/websocket/websocket-door.ts";
import { HttpServer } from "../../src/gateway/http-server.ts";
import { callingFace, callPaths } from "../support/calling-face.ts";
import { within } from "../behaviour/websocket/socket-client.ts";
import { type Call, type DoorClient, doorClients, through } from "../support/door-clients.ts";
import { Echo } from "../support/echo-service.ts";
import { type Gateway, startGateway } from "../support/gateway-fixture.ts";
import { testServerEngine } from "../support/test-engine.ts";
import {
  floodCount,
  stalledFace,
  stalledGrpc,
  stalledHttp1,
  stalledSocket,
  type StalledClient,
} from "../support/stalled-clients.ts";
import { doorCalls, isBeyond, metadata } from "./door-calls.ts";

const { echo: method } = EchoService.method;

describe("the same call through every door", () => {
  const grpc = new GrpcServer({ port: 0, logger: false }).addService(new Echo());
  const http = new HttpServer({
    port: 0,
    logger: false,
    upstream: grpc,
    grpc,
    faces: [callingFace],
    ...testServerEngine,
  }).addService(EchoService);
  const remote = new HttpServer({
    port: 0,
    upstream: grpc,
    dial: "network",
    faces: [callingFace],
    ...testServerEngine,
  });
  const level = method.idempotency;
  const clients = new Map<string, DoorClient>();
  const close: (() => void)[] = [];
  before(async () => {
    Object.assign(method, { idempotency: MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS });
    remote.addService(EchoService);
    await grpc.start();
    await http.start();
    await remote.start();
    clients.set("in process", through(dial(grpc)));
    clients.set("gRPC", through(dial(`127.0.0.1:${grpc.address?.port}`)));
    for (const [name, { address }] of [
      ["", http],
      [" by a proxy", remote],
    ] as const) {
      const port = address?.port ?? 0;
      const of = await doorClients(port, name);
      for (const [client, make] of of.clients) clients.set(client, make);
      close.push(of.close);
    }
  });
  after(async () => {
    Object.assign(method, { idempotency: level });
    for (const each of close) each();
    await Promise.all([http, remote].map((server) => server.gracefulStop({ graceMs: 0 })));
    await grpc.gracefulStop({ graceMs: 0 });
  });

  for (const [name, call] of Object.entries(doorCalls)) {
    test(name, async () => {
      const expected = await clients.get("in process")?.(call);
      assert.ok(clients.size > 35);
      for (const [client, make] of clients) {
        if (!isBeyond(client, call)) assert.deepEqual(await make(call), expected, client);
      }
    });
  }

  test("what is expected is what was asked for", async () => {
    const make = clients.get("in process") ?? assert.fail();
    const { "both streams, failing after the second reply": call } = doorCalls;
    assert.deepEqual(await make(call ?? assert.fail()), {
      messages: [{ text: "a" }, { text: "a", index: 1 }],
      failure: { code: Code.NotFound, message: "m – 100 % / é", reasons: ["A", "B"] },
      headers: metadata.headers,
      trailers: { ...metadata.trailers, "x-own": "o" },
      requestId: undefined,
    });
  });
});

/** What the contract has to know of one door. */
interface Row {
  /** `HandlerContext.protocolName` of its calls. */
  readonly protocol: string;
  /** How the names of its clients begin. */
  readonly clients: readonly string[];
  /** Whether a message above the limit ends the connection, without a status. */
  readonly closesForSize?: boolean;
  /** Ways to ask for many large replies and to read nothing; each resolves with the way to leave. */
  readonly stalled: Readonly<Record<string, StalledClient>>;
}

const rows: ReadonlyMap<MakeDoor, Row> = new Map<MakeDoor, Row>([
  [
    restDoor,
    {
      protocol: "rest",
      clients: ["REST", "SSE"],
      stalled: {
        NDJSON: stalledHttp1({ accept: "application/x-ndjson", "content-type": "application/json" }),
        SSE: stalledHttp1({ accept: "text/event-stream", "content-type": "application/json" }),
      },
    },
  ],
  [
    connectDoor,
    {
      protocol: "connect",
      clients: ["Connect POST", "Connect GET"],
      stalled: { "HTTP/1.1": stalledHttp1({ "content-type": "application/connect+proto" }) },
    },
  ],
  [
    grpcWebDoor,
    {
      protocol: "grpc-web",
      clients: ["gRPC-Web"],
      stalled: { "HTTP/1.1": stalledHttp1({ "content-type": "application/grpc-web+proto" }) },
    },
  ],
  [grpcDoor, { protocol: "grpc", clients: ["gRPC on the HTTP port"], stalled: { "HTTP/2": stalledGrpc } }],
  [
    facesDoor,
    {
      protocol: "mcp",
      clients: ["Face"],
      stalled: {
        "one call": stalledFace(callPaths.one),
        "one of several calls": stalledFace(callPaths.several),
      },
    },
  ],
  [
    webSocketDoor,
    {
      protocol: "websocket",
      clients: ["WebSocket"],
      closesForSize: true,
      stalled: {
        "a socket for the call": stalledSocket("/tsms.test.v1.EchoService/Repeat", (message) => message),
        "a socket of many calls": stalledSocket("/ws", (message) => ({
          id: 1,
          method: "tsms.test.v1.EchoService/Repeat",
          message,
        })),
      },
    },
  ],
]);

/** Doors that carry no calls of services, with the tests of what they do instead. */
const withoutCalls: ReadonlyMap<MakeDoor, string> = new Map([
  [documentsDoor, "test/behaviour/security/credentials.test.ts"],
  [healthDoor, "test/behaviour/health/health-endpoints.test.ts"],
  [pagesDoor, "test/behaviour/pages/static-files.test.ts"],
]);

test("every door of src/gateway/doors/doors.ts has rows here", () => {
  for (const make of doors) {
    const known = rows.has(make) || withoutCalls.has(make);
    assert.ok(known, `${make.name} has no row in test/contracts/doors.test.ts: add its clients to the table`);
  }
  for (const make of [...rows.keys(), ...withoutCalls.keys()]) {
    assert.ok(doors.includes(make), `${make.name} is not in the list of doors`);
  }
  for (const file of withoutCalls.values()) assert.ok(existsSync(join(import.meta.dirname, "../..", file)));
});

test("every client belongs to one door", async () => {
  await using gateway = await startGateway();
  const { clients, close } = await doorClients(gateway.port);
  close();
  for (const name of clients.keys()) {
    const owners = [...rows.values()].filter((row) => isOf(row, name));
    assert.equal(owners.length, 1, name);
  }
});

function isOf(row: Row, client: string): boolean {
  return row.clients.some((start) => client.startsWith(start));
}

/** The most that a test waits for what is due, in milliseconds. */
const patienceMs = 15_000;
/** The same for the abort of a call whose client has left, on a slow machine. */
const abortMs = 5000;
/** These mostly wait. */
const stalls = { concurrency: true };
const unary: Call = { rpc: "echo", requests: [{ text: "a", behaviour: { sleepMs: 60_000 } }] };
const stream: Call = { rpc: "repeat", requests: [{ text: "a", count: 9999, intervalMs: 50 }] };
const limit = 64 * 1024;

for (const [make, row] of rows) {
  describe(make.name, () => {
    const level = method.idempotency;
    const protocols: string[] = [];
    const clients = new Map<string, DoorClient>();
    let gateway: Gateway;
    let close: () => void;
    before(async () => {
      Object.assign(method, { idempotency: MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS });
      gateway = await startGateway({
        observers: [{ started: ({ protocolName }) => void protocols.push(protocolName) }],
        maxBodyBytes: limit,
        maxSocketMessageBytes: limit,
      });
      ({ close } = await ownClients(gateway.port, clients));
    });
    after(async () => {
      Object.assign(method, { idempotency: level });
      close();
      await gateway[Symbol.asyncDispose]();
    });

    /** Adds the clients of this door to `to`. */
    async function ownClients(
      port: number,
      to: Map<string, DoorClient>,
    ): Promise<{ readonly close: () => void }> {
      const all = await doorClients(port);
      for (const [name, client] of all.clients) if (isOf(row, name)) to.set(name, client);
      assert.ok(to.size > 0);
      return all;
    }

    /** Makes a call with all clients that can make it, at the same time. */
    async function withEach(
      call: Call,
      check: (client: DoorClient, name: string) => Promise<void>,
    ): Promise<void> {
      const able = [...clients].filter(([name]) => !isBeyond(name, call));
      assert.ok(able.length > 0);
      await within(Promise.all(able.map(([name, client]) => check(client, name))), "the calls", patienceMs);
    }

    /** Resolves when as many calls are aborted as have begun since `before`. */
    function allAborted(before: { readonly calls: number; readonly aborted: number }): Promise<void> {
      return within(
        gateway.echo.until(({ calls, aborted }) => aborted - before.aborted === calls - before.calls),
        "the abort of every call",
        abortMs,
      );
    }

    test(`calls come in as ${row.protocol}`, async () => {
      protocols.length = 0;
      const call: Call = { rpc: "echo", requests: [{ text: "a" }] };
      await withEach(call, async (client, name) => {
        assert.equal((await client(call)).failure, undefined, name);
      });
      assert.deepEqual([...new Set(protocols)], [row.protocol]);
    });

    for (const call of [unary, stream]) {
      test(`a client that leaves cancels its call of ${call.rpc}`, async () => {
        const { echo } = gateway;
        const { calls, aborted } = echo;
        const leaving = new AbortController();
        let made = 0;
        const ended = withEach(call, async (client, name) => {
          made++;
          const outcome = await client({ ...call, signal: leaving.signal }).catch(() => undefined);
          assert.ok(outcome === undefined || outcome.failure?.code === Code.Canceled, name);
        });
        await within(
          echo.until((now) => now.calls - calls === made),
          "the calls",
          patienceMs,
        );
        leaving.abort();
        await ended;
        await allAborted({ calls, aborted });
      });

      test(`the time that a client gives its call of ${call.rpc} ends it`, async () => {
        const { calls, aborted } = gateway.echo;
        const headers = { "grpc-timeout": "100m", "connect-timeout-ms": "100" };
        await withEach(call, async (client, name) => {
          const { failure } = await client({ ...call, headers });
          assert.equal(failure?.code, Code.DeadlineExceeded, name);
        });
        await allAborted({ calls, aborted });
      });
    }

    test("a message above the limit reaches no handler", async () => {
      const { calls } = gateway.echo;
      const own = new Map<string, DoorClient>();
      const { close: closeOwn } = await ownClients(gateway.port, own);
      const call: Call = { rpc: "echo", requests: [{ text: "x".repeat(limit + 1) }] };
      for (const [name, client] of own) {
        if (isBeyond(name, call)) continue;
        if (row.closesForSize === true) await assert.rejects(client(call), /closed/, name);
        else assert.equal((await client(call)).failure?.code, Code.ResourceExhausted, name);
      }
      closeOwn();
      assert.equal(gateway.echo.calls, calls);
      await gateway.stillServes();
    });

    suite("a client that does not read slows the handler down, and cancels it when it leaves", stalls, () => {
      for (const [way, open] of Object.entries(row.stalled)) {
        test(way, async () => {
          await using stalled = await startGateway();
          const { echo } = stalled;
          const leave = await open(stalled.port);
          await within(
            echo.until(({ produced }) => produced > 0),
            "the first reply",
            patienceMs,
          );
          let last = -1;
          while (last !== echo.produced) {
            last = echo.produced;
            await new Promise((resolve) => setTimeout(resolve, 300)); // Until nothing more is taken.
          }
          assert.ok(echo.produced < floodCount / 2, `${echo.produced} messages were produced`);
          leave();
          await within(
            echo.until(({ aborted }) => aborted === 1),
            "the abort",
            abortMs,
          );
        });
      }
    });
  });
}

test("a stop lets calls through every door complete, and ends their streams with UNAVAILABLE", async (t) => {
  // A busy machine may need longer than the grace period for calls of 300 ms, or for the ends of streams: then the stop
  // proves nothing, and the period of the next one is longer.
  for (const graceMs of [1_000, 3_000, 30_000]) if (await stops(t, graceMs)) return;
  assert.fail("calls did not end in time");
});

/** A gateway stops within some time. @returns false if its calls, or the ends of streams, have needed longer */
async function stops(t: TestContext, graceMs: number): Promise<boolean> {
  await using gateway = await startGateway();
  const short: Call = { rpc: "echo", requests: [{ text: "short", behaviour: { sleepMs: 300 } }] };
  const begin = async (call: Call) => {
    const { clients, close } = await doorClients(gateway.port);
    t.after(close);
    const able = [...clients].filter(([name]) => !isBeyond(name, call));
    return able.map(([name, client]) => ({ name, call, outcome: client(call) }));
  };
  const begun = [...(await begin(short)), ...(await begin(stream))];
  await within(
    gateway.echo.until(({ calls }) => calls === begun.length),
    "the calls",
    patienceMs,
  );
  const endMs = performance.now() + graceMs;
  let isLate = false;
  const ended = begun.map(async ({ call, outcome }) => {
    const { failure } = await outcome;
    if (call === short && failure !== undefined && performance.now() >= endMs) isLate = true;
    return failure;
  });
  const [{ notified, cut }, failures] = await Promise.all([
    gateway.http.gracefulStop({ graceMs }),
    Promise.all(ended),
  ]);
  if (isLate || cut.length > 0) return false;
  for (const [index, failure] of failures.entries()) {
    const { name, call } = begun[index] ?? assert.fail();
    assert.equal(failure?.code, call === short ? undefined : Code.Unavailable, `${call.rpc}, ${name}`);
  }
  const streams = begun.filter(({ call }) => call === stream);
  assert.deepEqual(
    notified.toSorted(),
    // A request with several calls is no call.
    streams
      .map(({ name }) =>
        name === "Face, several" ? `POST ${callPaths.several}` : "tsms.test.v1.EchoService/Repeat",
      )
      .sort(),
  );
  return true;
}
