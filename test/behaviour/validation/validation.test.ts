import assert from "node:assert/strict";
import { join } from "node:path";
import { suite, test, type TestContext } from "node:test";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { BadRequestSchema, ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { RulesService } from "../../../gen/tsms/test/v1/rules_pb.ts";
import { loadProtoSources } from "../../../src/core/schema/proto-sources.ts";
import { dial, GrpcServer, HttpServer, type HttpServerOptions } from "../../../src/index.ts";
import { contractOf, serviceOf } from "../../support/contract.ts";
import { SocketClient } from "../websocket/socket-client.ts";
import { Rules } from "./rules-service.ts";

/** A body that breaks five rules. */
const badOrder = {
  id: "far too long",
  items: [
    { name: "a", count: 1 },
    { eMail: "none", count: 0 },
  ],
  express: true,
};
const badFields = ["id", "items[1].count", "items[1].e_mail", "items[1].name", ""];
const goodOrder = { id: "1", items: [{ name: "a", count: 1 }] };

interface Site {
  readonly rules: Rules;
  readonly grpc: GrpcServer;
  readonly http: HttpServer;
  readonly url: string;
  readonly started: string[];
}

interface Way {
  readonly http: Partial<HttpServerOptions>;
  /** Whether the gRPC server checks messages too. */
  readonly server: boolean;
}

/** Where messages are checked, and how the gateway calls its upstream. */
const ways: Readonly<Record<string, Way>> = {
  "by the gateway, in process": { http: { validation: {} }, server: false },
  "by the server, in process": { http: {}, server: true },
  "by both, in process": { http: { validation: {} }, server: true },
  "by the gateway, as bytes": { http: { validation: {}, dial: "network" }, server: false },
  "by the gateway, as messages": {
    http: { validation: {}, dial: "network", transcoding: "messages" },
    server: false,
  },
  "by the server, over the network": { http: { dial: "network" }, server: true },
};

async function start(t: TestContext, { http: options, server }: Way): Promise<Site> {
  const { logger = false } = options;
  const rules = new Rules();
  const started: string[] = [];
  const observers = [
    { started: ({ method }: { method: { name: string } }) => void started.push(method.name) },
  ];
  const grpc = new GrpcServer({ port: 0, observers, logger, ...(server && { validation: {} }) });
  grpc.addService(rules);
  const http = new HttpServer({ upstream: grpc, port: 0, ...options, logger }).addService(RulesService);
  await grpc.start();
  await http.start();
  t.after(async () => {
    await http.gracefulStop({ graceMs: 0 });
    await grpc.gracefulStop({ graceMs: 0 });
  });
  return { rules, grpc, http, url: `http://127.0.0.1:${http.address?.port}`, started };
}

async function refused(call: Promise<unknown>): Promise<readonly string[]> {
  const error = await call.then(
    () => assert.fail("the call was answered"),
    (reason: unknown) => ConnectError.from(reason),
  );
  assert.equal(error.code, Code.InvalidArgument, error.message);
  const [info] = error.findDetails(ErrorInfoSchema);
  assert.equal(info?.reason, "VALIDATION_FAILED");
  assert.equal(info.domain, "ts-ms");
  return error
    .findDetails(BadRequestSchema)
    .flatMap(({ fieldViolations }) => fieldViolations.map(({ field }) => field));
}

async function drain(replies: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _ of replies) count++;
  return count;
}

suite("V1: requests that break rules reach no handler, at every door", () => {
  for (const [name, way] of Object.entries(ways)) {
    test(name, async (t) => {
      const { rules, grpc, url, started } = await start(t, way);
      const post = async (path: string, body: unknown) => {
        const response = await fetch(url + path, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(body),
        });
        return { status: response.status, text: await response.text() };
      };
      const bad = await post("/test/v1/orders", badOrder);
      assert.equal(bad.status, 400, bad.text);
      const status = JSON.parse(bad.text) as {
        code: number;
        details: { fieldViolations?: { field?: string }[] }[];
      };
      assert.equal(status.code, 3);
      const violations = status.details.flatMap(({ fieldViolations = [] }) => fieldViolations);
      assert.deepEqual(violations.map(({ field = "" }) => field).toSorted(), badFields.toSorted());
      const transports: readonly Transport[] = [
        createConnectTransport({ baseUrl: url, httpVersion: "1.1" }),
        createGrpcWebTransport({ baseUrl: url, httpVersion: "1.1" }),
        createGrpcTransport({ baseUrl: url }),
        ...(way.server
          ? [createGrpcTransport({ baseUrl: `http://127.0.0.1:${grpc.address?.port}` }), dial(grpc)]
          : []),
      ];
      for (const transport of transports) {
        const client = createClient(RulesService, transport);
        assert.deepEqual((await refused(client.order(badOrder))).toSorted(), badFields.toSorted());
        assert.deepEqual(await refused(drain(client.watch({ id: "123456789" }))), ["id"]);
        assert.equal((await client.order(goodOrder)).state, "taken");
        assert.equal((await client.free({ text: "x" })).text, "x");
      }
      const watch = await fetch(`${url}/test/v1/orders/123456789:watch`, {
        headers: { accept: "text/event-stream" },
      });
      assert.equal(watch.status, 400);
      await watch.text();
      const socket = await new SocketClient(`${url.replace("http", "ws")}/test/v1/orders:talk`).open();
      socket.send("{}");
      assert.equal((await socket.closed).code, 4003);
      const free = await post("/test/v1/free", { text: "as ever" });
      assert.deepEqual(JSON.parse(free.text), { text: "as ever" });
      assert.equal(rules.messages, 0);
      if (way.http.observers === undefined && way.server && way.http.validation === undefined) {
        assert.deepEqual(started.filter((rpc) => rpc === "Order").length, transports.length);
      }
    });
  }
});

test("V1: rpcs without rules keep the path of bytes, rules of loaded descriptors count before the hop", async (t) => {
  const rules = new Rules();
  const grpc = new GrpcServer({ port: 0, logger: false }).addService(rules);
  await grpc.start();
  const loaded = loadProtoSources(
    ["tsms/test/v1/rules.proto"],
    [join(import.meta.dirname, "../../../proto")],
  );
  const descriptor = serviceOf(loaded, RulesService.typeName);
  const http = new HttpServer({
    upstream: `127.0.0.1:${grpc.address?.port}`,
    port: 0,
    validation: {},
    awaitServices: true,
  });
  await http.start();
  t.after(async () => {
    await http.gracefulStop({ graceMs: 0 });
    await grpc.gracefulStop({ graceMs: 0 });
  });
  http.replaceServices([descriptor]);
  const order = (body: unknown) =>
    fetch(`http://127.0.0.1:${http.address?.port}/test/v1/orders`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  assert.equal((await order(badOrder)).status, 400);
  assert.equal(rules.calls, 0);
  const answer = await order(goodOrder);
  assert.deepEqual([answer.status, await answer.json()], [200, { state: "taken" }]);
});

test("V2: violations have field, description and rule, at most maxViolations of them", async (t) => {
  const { url } = await start(t, { http: { validation: { maxViolations: 2 } }, server: false });
  const client = createClient(RulesService, createConnectTransport({ baseUrl: url, httpVersion: "1.1" }));
  const error = await client.order(badOrder).then(
    () => assert.fail("answered"),
    (reason: unknown) => ConnectError.from(reason),
  );
  const [detail] = error.findDetails(BadRequestSchema);
  assert.equal(detail?.fieldViolations.length, 2);
  const [first] = detail.fieldViolations;
  assert.equal(first?.field, "id");
  assert.equal(first.description, "must be at most 8 characters");
  assert.equal(first.reason, "string.max_len");
  assert.equal(
    error.rawMessage,
    "the OrderRequest breaks a rule: id: must be at most 8 characters, and 4 more",
  );
  const whole = await client
    .order({ id: "1", express: true })
    .catch((reason: unknown) => ConnectError.from(reason));
  assert.ok(whole instanceof ConnectError);
  const [violation] = whole.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  assert.deepEqual(
    [violation?.field, violation?.description, violation?.reason],
    ["", "an express order has one item", "order.size"],
  );
});

test("V2: a huge request gets its first violation only", async (t) => {
  const { url } = await start(t, { http: { validation: {} }, server: false });
  const client = createClient(RulesService, createConnectTransport({ baseUrl: url, httpVersion: "1.1" }));
  const labels = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`k${index}`, -1]));
  assert.equal((await refused(client.order({ id: "1", labels }))).length, 1);
});

suite("V3: a rule that cannot be compiled is an error of the start, with field and rpc", () => {
  const contract = (rule: string) => `
    syntax = "proto3";
    package bad.v1;
    import "buf/validate/validate.proto";
    service Bad { rpc Call(Request) returns (Reply); }
    message Request { Inner inner = 1; }
    message Inner { string fine = 1 [(buf.validate.field).string.max_len = 3]; int32 wrong = 2 [${rule}]; }
    message Reply {}`;
  for (const rule of [
    '(buf.validate.field).cel = { id: "x", message: "y", expression: "this >" }',
    "(buf.validate.field).string.max_len = 3",
  ]) {
    test(rule, async () => {
      const service = serviceOf(contractOf(contract(rule)), "bad.v1.Bad");
      const expected = /bad\.v1\.Bad\/Call: a rule of the field bad\.v1\.Inner\.wrong cannot be compiled: ./;
      const descriptor = service as typeof RulesService; // Without an implementation any descriptor will do.
      const grpc = new GrpcServer({ port: 0, validation: {} }).addService({ descriptor });
      await assert.rejects(grpc.start(), expected);
      assert.equal(grpc.state, "error");
      const http = new HttpServer({ upstream: "127.0.0.1:1", port: 0, validation: {} }).addService(service);
      await assert.rejects(http.start(), expected);
      const good = new HttpServer({ upstream: "127.0.0.1:1", port: 0, validation: {} }).addService(
        RulesService,
      );
      await good.start();
      assert.throws(() => good.replaceServices([service]), expected);
      assert.deepEqual(good.services, [RulesService]);
      await good.gracefulStop({ graceMs: 0 });
    });
  }
});

suite("V4: each message of a stream is checked, the bad one ends the call", () => {
  for (const [name, way] of Object.entries(ways)) {
    test(name, async (t) => {
      const { rules, grpc, url } = await start(t, way);
      const target = way.server ? `http://127.0.0.1:${grpc.address?.port}` : url;
      const client = createClient(RulesService, createGrpcTransport({ baseUrl: target }));
      async function* ids(): AsyncGenerator<{ id: string }> {
        yield { id: "1" };
        yield { id: "2" };
        yield { id: "much too long" };
        yield { id: "3" };
      }
      assert.deepEqual(await refused(client.import(ids())), ["id"]);
      assert.ok(rules.messages <= 2);
      async function* words(): AsyncGenerator<{ word: string }> {
        yield { word: "a" };
        yield { word: "" };
      }
      assert.deepEqual(await refused(drain(client.talk(words()))), ["word"]);
      const lines = await fetch(`${url}/test/v1/orders:import`, {
        method: "POST",
        headers: { "content-type": "application/x-ndjson" },
        body: '{"id":"1"}\n{"id":"much too long"}\n',
      });
      assert.equal(lines.status, 400);
      await lines.text();
    });
  }
});

suite("V4: responses: enforce turns a bad reply into INTERNAL and logs its violations", () => {
  const validation = { responses: "enforce" } as const;
  const enforced: Readonly<Record<string, Partial<HttpServerOptions>>> = {
    "in process": { validation },
    "as bytes": { validation, dial: "network" },
  };
  for (const [name, options] of Object.entries(enforced)) {
    test(name, async (t) => {
      const logged: string[] = [];
      const logger = { error: ({ err }: Record<string, unknown>) => void logged.push(String(err)) };
      const { rules, url } = await start(t, { http: { ...options, logger }, server: false });
      const client = createClient(RulesService, createConnectTransport({ baseUrl: url, httpVersion: "1.1" }));
      assert.equal((await client.order(goodOrder)).state, "taken");
      rules.state = "";
      await assert.rejects(client.order(goodOrder), { code: Code.Internal, rawMessage: "internal error" });
      await assert.rejects(drain(client.watch({ id: "1" })), { code: Code.Internal });
      assert.equal(logged.length, 2);
      for (const line of logged) assert.match(line, /state: must be at least 1 character/);
    });
  }
});

test("a wrong value of an option is named", () => {
  assert.throws(
    () => new GrpcServer({ validation: { requests: "on" as "auto" } }),
    /GrpcServer: the option validation.requests must be "auto" or "off", not 'on'/,
  );
  assert.throws(
    () => new GrpcServer({ validation: { maxViolations: 0 } }),
    /validation.maxViolations must be 1 or more/,
  );
});
