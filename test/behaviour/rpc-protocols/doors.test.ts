import { strict as assert } from "node:assert";
import { after, before, describe, test } from "node:test";
import type { JsonObject } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { dial } from "../../../src/core/dial.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { Echo } from "../../support/echo-service.ts";
import { type Call, type Door, doorsOf, through } from "./doors.ts";
import { testServerEngine } from "../../support/test-engine.ts";

const { echo: method } = EchoService.method;

const metadata = {
  headers: { "x-header": "h, i", "x-bytes-bin": "AP8" },
  trailers: { "x-trailer": "t", "x-more-bin": "AQID" },
};

function failing(after: number): JsonObject {
  const failure = {
    code: Code.NotFound,
    message: "m – 100 % / é",
    reasons: ["A", "B"],
    metadata: { "x-own": "o" },
    after,
  };
  return { ...metadata, failure };
}

const texts = [{ text: "a" }, { text: "zwölf 😀" }, { text: "", payload: "AP8KDQ==" }];

const calls: Readonly<Record<string, Call>> = {
  "a message with text, bytes and a large integer": {
    rpc: "echo",
    requests: [{ text: "zwölf 😀 \u0000", payload: "AP8KDQ==", number: "-9007199254740993" }],
  },
  "an empty message": { rpc: "echo", requests: [{}] },
  "headers and trailers": { rpc: "echo", requests: [{ text: "m", behaviour: metadata }] },
  "a large message": { rpc: "echo", requests: [{ text: "x".repeat(300_000) }] },
  ...Object.fromEntries(
    Object.values(Code)
      .filter((code) => typeof code === "number")
      .map((code) => [
        `an error of code ${Code[code]}`,
        {
          rpc: "echo",
          requests: [{ behaviour: { failure: { code, message: `${Code[code]} – 100 % / é` } } }],
        },
      ]),
  ),
  "an error with details, headers, trailers and metadata": {
    rpc: "echo",
    requests: [{ behaviour: failing(0) }],
  },
  "an exception that nobody planned": {
    rpc: "echo",
    requests: [{ behaviour: { failure: { message: "secret" } } }],
  },
  "a stream of replies": { rpc: "repeat", requests: [{ text: "r", payload: "AP8KDQ==", count: 3 }] },
  "a stream of no reply": { rpc: "repeat", requests: [{ text: "r" }] },
  "a stream of replies with headers and trailers": {
    rpc: "repeat",
    requests: [{ text: "r", count: 2, behaviour: metadata }],
  },
  "a stream of replies that fails before the first": {
    rpc: "repeat",
    requests: [{ text: "r", count: 2, behaviour: failing(0) }],
  },
  "a stream of replies that fails after the second": {
    rpc: "repeat",
    requests: [{ text: "r", count: 3, behaviour: failing(2) }],
  },
  "a stream of replies with an exception that nobody planned": {
    rpc: "repeat",
    requests: [{ text: "r", count: 3, behaviour: { failure: { message: "secret", after: 1 } } }],
  },
  "a stream of requests": { rpc: "collect", requests: texts },
  "a stream of no request": { rpc: "collect", requests: [] },
  "a stream of requests with headers and trailers": {
    rpc: "collect",
    requests: [{ ...texts[0], behaviour: metadata }, ...texts],
  },
  "a stream of requests that fails at its end": {
    rpc: "collect",
    requests: [{ ...texts[0], behaviour: failing(9) }, ...texts],
  },
  "both streams": { rpc: "chat", requests: texts },
  "both streams, empty": { rpc: "chat", requests: [] },
  "both streams with headers and trailers": {
    rpc: "chat",
    requests: [{ ...texts[0], behaviour: metadata }, ...texts],
  },
  "both streams, failing after the second reply": {
    rpc: "chat",
    requests: [{ ...texts[0], behaviour: failing(2) }, ...texts],
  },
};

/** Calls that a door cannot carry. */
function isBeyond(door: string, { rpc, requests }: Call): boolean {
  if (!door.startsWith("Connect GET")) return false;
  return rpc !== "echo" || JSON.stringify(requests).length > 2000; // A target has a limit.
}

describe("the same call through every door", () => {
  const grpc = new GrpcServer({ port: 0, logger: false }).addService(new Echo());
  const http = new HttpServer({
    port: 0,
    logger: false,
    upstream: grpc,
    grpc,
    ...testServerEngine,
  }).addService(EchoService);
  const remote = new HttpServer({ port: 0, upstream: grpc, dial: "network", ...testServerEngine });
  const level = method.idempotency;
  const doors = new Map<string, Door>();
  const close: (() => void)[] = [];
  before(async () => {
    Object.assign(method, { idempotency: MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS });
    remote.addService(EchoService);
    await grpc.start();
    await http.start();
    await remote.start();
    doors.set("in process", through(dial(grpc)));
    doors.set("gRPC", through(dial(`127.0.0.1:${grpc.address?.port}`)));
    for (const [name, { address }] of [
      ["", http],
      [" by a proxy", remote],
    ] as const) {
      const port = address?.port ?? 0;
      const of = await doorsOf(port, name);
      for (const [door, make] of of.doors) doors.set(door, make);
      close.push(of.close);
    }
  });
  after(async () => {
    Object.assign(method, { idempotency: level });
    for (const each of close) each();
    await Promise.all([http, remote].map((server) => server.gracefulStop({ graceMs: 0 })));
    await grpc.gracefulStop({ graceMs: 0 });
  });

  for (const [name, call] of Object.entries(calls)) {
    test(name, async () => {
      const expected = await doors.get("in process")?.(call);
      assert.ok(doors.size > 35);
      for (const [door, make] of doors) {
        if (!isBeyond(door, call)) assert.deepEqual(await make(call), expected, door);
      }
    });
  }

  test("what is expected is what was asked for", async () => {
    const make = doors.get("in process") ?? assert.fail();
    const { "both streams, failing after the second reply": call } = calls;
    assert.deepEqual(await make(call ?? assert.fail()), {
      messages: [{ text: "a" }, { text: "a", index: 1 }],
      failure: { code: Code.NotFound, message: "m – 100 % / é", reasons: ["A", "B"] },
      headers: metadata.headers,
      trailers: { ...metadata.trailers, "x-own": "o" },
    });
  });
});
