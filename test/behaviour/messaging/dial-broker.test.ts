import { strict as assert } from "node:assert";
import { test } from "node:test";
import { create, equals, fromBinary, toBinary } from "@bufbuild/protobuf";
import { EmptySchema } from "@bufbuild/protobuf/wkt";
import { createContextValues } from "@connectrpc/connect";
import {
  CountResponseSchema,
  MailService,
  ReserveRequestSchema,
  StockService,
} from "../../../gen/tsms/test/v1/messages_pb.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code, invalidArgument } from "../../../src/core/errors/errors.ts";
import { retryAfterMsOf } from "../../../src/core/errors/retry-info.ts";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import { principalKey, type Principal } from "../../../src/core/security/principal.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import type { BrokerDialOptions } from "../../../src/messaging/broker-dial-options.ts";
import type { Broker, Delivery, OutgoingMessage, SubscriptionSpec } from "../../../src/messaging/broker.ts";
import { replyMessage, type CallResult } from "../../../src/messaging/call-reply.ts";
import { eventOf } from "../../../src/messaging/cloud-event.ts";
import { memoryBroker } from "../../../src/messaging/memory/memory-broker.ts";
import { type AddMessages, Transaction } from "../../../src/messaging/transaction.ts";
import { Reading, specOf } from "../../support/brokers/readings.ts";
import { failure } from "../../support/failure.ts";

const stockTopic = "tsms.test.v1.StockService";

/** A broker, and a reader of the commands of StockService. */
async function stock(options: Partial<BrokerDialOptions> = {}, more: Partial<SubscriptionSpec> = {}) {
  const broker = memoryBroker();
  const reader = await Reading.start(broker, specOf(stockTopic, "stock", { types: [], ...more }));
  const client = createClient(StockService, dial(broker, options));
  const next = async () => {
    const delivery = await reader.next(1_000);
    const read = eventOf(delivery.message);
    assert.ok(read.kind === "event", JSON.stringify(read));
    return { ...read, key: delivery.message.key, delivery };
  };
  return { broker, reader, client, next };
}

/** Answers each call with a result. */
async function answering(
  answer: (delivery: Delivery) => CallResult | undefined,
  options: Partial<BrokerDialOptions> = {},
) {
  const broker = memoryBroker();
  await broker.subscribe(specOf(stockTopic, "stock", { types: [] }), (delivery) => {
    const result = answer(delivery);
    if (result !== undefined) void delivery.reply?.(replyMessage(result)).then(() => delivery.settle());
  });
  return createClient(StockService, dial(broker, options));
}

function good(body: Uint8Array, headers?: Headers, trailers?: Headers): CallResult {
  return { error: undefined, body, headers, trailers };
}

test("a command resolves when the broker has stored it", async () => {
  const { client, next } = await stock();
  const reply = await client.reserve({ sku: "A1", count: 2 });
  assert.ok(equals(EmptySchema, reply, create(EmptySchema)));
  const { event, data, key, delivery } = await next();
  assert.equal(event.type, "tsms.test.v1.StockService.Reserve");
  assert.equal(event.extensions.get("partitionkey"), "A1");
  assert.equal(event.extensions.has("expirytime"), false);
  assert.equal(key, "A1");
  assert.equal(fromBinary(ReserveRequestSchema, data.body ?? new Uint8Array()).count, 2);
  assert.equal("reply" in delivery && delivery.reply !== undefined, false);
});

test("an rpc that is one_way is sent, and its reply is empty", async () => {
  const { client, next } = await stock();
  await client.restock({ sku: "A1" });
  assert.equal((await next()).event.type, "tsms.test.v1.StockService.Restock");
});

test("9 headers of the list go with a command, others and authorization do not", async () => {
  const { client, next } = await stock({ forwardHeaders: ["x-tenant"] });
  const headers = { authorization: "Bearer a", "x-tenant": "t", "x-other": "o", "accept-language": "de" };
  await client.reserve({ sku: "A1" }, { headers });
  const sent = (await next()).headers;
  assert.deepEqual(
    [sent.get("authorization"), sent.get("x-tenant"), sent.get("x-other")],
    [undefined, "t", undefined],
  );
  assert.equal(sent.get("accept-language"), "de");
});

test("3 a command without its key is INVALID_ARGUMENT before anything is sent", async () => {
  const { client, reader } = await stock();
  const error = await failure(client.reserve({}), Code.InvalidArgument);
  assert.match(error.rawMessage, /^sku must be set/);
  assert.equal(reader.deliveries.length, 0);
});

test("12 no queue takes a command: UNAVAILABLE, which names the service", async () => {
  const client = createClient(StockService, dial(memoryBroker()));
  const error = await failure(client.reserve({ sku: "A1" }), Code.Unavailable);
  assert.equal(error.rawMessage, `no queue takes ${stockTopic}`);
  const call = await failure(client.count({ sku: "A1" }), Code.Unavailable);
  assert.equal(call.rawMessage, `no queue takes ${stockTopic}`);
});

test("12 unmarked rpcs, streams and readers of events are UNIMPLEMENTED", async () => {
  const { broker, client } = await stock();
  const audit = await failure(client.audit({}), Code.Unimplemented);
  assert.match(audit.rawMessage, /^tsms\.test\.v1\.StockService\/Audit is not marked \(ts_ms\.v1\.consume\)/);
  const watch = client.watchStock({})[Symbol.asyncIterator]();
  const stream = await failure(watch.next(), Code.Unimplemented);
  assert.match(stream.rawMessage, /WatchStock is a stream: brokers carry unary rpcs alone$/);
  const mail = createClient(MailService, dial(broker));
  const event = await failure(mail.onOrderPlaced({ orderId: "7" }), Code.Unimplemented);
  assert.match(
    event.rawMessage,
    /reads the event tsms\.test\.v1\.OrderPlaced, which every group gets: publish it/,
  );
});

test("12 at the deadline a command that waits is UNAVAILABLE, and the text says that it is not sent", async () => {
  const { client } = await (async () => {
    const broker = memoryBroker({ maxMessages: 1 });
    await Reading.start(broker, specOf(stockTopic, "stock", { types: [] }));
    return { client: createClient(StockService, dial(broker)) };
  })();
  await client.reserve({ sku: "A1" });
  const late = await failure(client.reserve({ sku: "A1" }, { timeoutMs: 20 }), Code.Unavailable);
  assert.match(late.rawMessage, /^not sent: /);
  const controller = new AbortController();
  const taken = failure(client.reserve({ sku: "A1" }, { signal: controller.signal }), Code.Canceled);
  controller.abort();
  await taken;
});

test("15 an idempotency-key makes the id, of its rpc and its principal", async () => {
  const { client, next } = await stock();
  const of = (id: string): Principal => ({
    id,
    provider: "p",
    kind: "jwt",
    issuer: undefined,
    scopes: new Set(),
    roles: new Set(),
    claims: {},
    expiresAtMs: undefined,
  });
  const idOf = async (key: string | undefined, who: string | undefined, restock = false): Promise<string> => {
    const options = {
      headers: key === undefined ? {} : { "idempotency-key": key },
      contextValues: createContextValues().set(principalKey, who === undefined ? undefined : of(who)),
    };
    if (restock) await client.restock({ sku: "A1" }, options);
    else await client.reserve({ sku: "A1" }, options);
    return (await next()).event.id;
  };
  const first = await idOf("k", "a");
  assert.match(first, /^[A-Za-z0-9_-]{43}$/);
  assert.equal(await idOf("k", "a"), first);
  const others = [
    await idOf("l", "a"),
    await idOf("k", "b"),
    await idOf("k", undefined),
    await idOf("k", "a", true),
    await idOf(undefined, "a"),
    await idOf(undefined, "a"),
  ];
  assert.equal(new Set([first, ...others]).size, 7);
});

test("17 a call waits for its reply, with headers and trailers, and expires with its deadline", async () => {
  const seen: Delivery[] = [];
  const body = toBinary(CountResponseSchema, create(CountResponseSchema, { count: 7 }));
  const client = await answering((delivery) => {
    seen.push(delivery);
    return good(body, new Headers({ "x-a": "1" }), new Headers({ "x-b": "2" }));
  });
  const [headers, trailers] = [new Headers(), new Headers()];
  const startedMs = Date.now();
  const reply = await client.count(
    { sku: "A1" },
    {
      timeoutMs: 5_000,
      onHeader: (all) => all.forEach((value, name) => headers.set(name, value)),
      onTrailer: (all) => all.forEach((value, name) => trailers.set(name, value)),
    },
  );
  assert.equal(reply.count, 7);
  assert.deepEqual([headers.get("x-a"), trailers.get("x-b")], ["1", "2"]);
  const [delivery] = seen;
  assert.ok(delivery);
  const read = eventOf(delivery.message);
  assert.ok(read.kind === "event");
  const expiresMs = Date.parse(read.event.extensions.get("expirytime") ?? "");
  assert.ok(expiresMs > startedMs + 4_000 && expiresMs <= Date.now() + 5_000, String(expiresMs - startedMs));
});

test("17 a failure is the reply, with code, text, details and metadata", async () => {
  const client = await answering(() => {
    const error = invalidArgument("sku must be known", [{ field: "sku", description: "must be known" }]);
    return {
      error,
      body: new Uint8Array(),
      headers: new Headers({ "x-a": "ä".normalize() }),
      trailers: undefined,
    };
  });
  const error = await failure(client.count({ sku: "A1" }), Code.InvalidArgument);
  assert.equal(error.rawMessage, "sku must be known");
  assert.equal(error.details.length, 1);
});

test("17 a call without a reply is DEADLINE_EXCEEDED at its deadline", async () => {
  const client = await answering(() => undefined);
  const startedMs = performance.now();
  await failure(client.count({ sku: "A1" }, { timeoutMs: 100 }), Code.DeadlineExceeded);
  assert.ok(performance.now() - startedMs >= 99);
  const short = createClient(StockService, dial(memoryBroker(), { timeoutMs: 1 }));
  await failure(short.count({ sku: "A1" }), Code.Unavailable); // No queue takes it.
});

test("17 replies that cannot be read are INTERNAL", async () => {
  const broken = await answering(() => good(new Uint8Array([255])));
  assert.match(
    (await failure(broken.count({}), Code.Internal)).rawMessage,
    /^the reply of .*Count cannot be read/,
  );
  const broker = memoryBroker();
  await broker.subscribe(specOf(stockTopic, "stock", { types: [] }), (delivery) => {
    void delivery.reply?.({ ...replyMessage(good(new Uint8Array())), headers: new Map() });
  });
  const other = createClient(StockService, dial(broker));
  assert.equal(
    (await failure(other.count({}), Code.Internal)).rawMessage,
    "the broker gave a reply without a status",
  );
});

test("12, 17 beyond maxCalls a call is UNAVAILABLE at once, with RetryInfo", async () => {
  const client = await answering(() => undefined, { maxCalls: 2 });
  const controller = new AbortController();
  const { signal } = controller;
  const open = [client.count({}, { signal }), client.sell({}, { signal })];
  const refused = await failure(client.count({}), Code.Unavailable);
  assert.equal(refused.rawMessage, "2 calls wait for their replies: maxCalls is 2");
  assert.equal(retryAfterMsOf(refused), 1_000);
  controller.abort();
  for (const call of open) await failure(call, Code.Canceled);
  await failure(client.count({}, { timeoutMs: 10 }), Code.DeadlineExceeded); // There is room again.
});

test("17 a broker that carries no replies says what to do", async () => {
  const memory = memoryBroker();
  await Reading.start(memory, specOf(stockTopic, "stock", { types: [] }));
  // As Kafka's: everything of it but `call`.
  const silent: Broker = Object.create(memory, {
    system: { value: "kafka" },
    call: { value: undefined },
    publish: { value: memory.publish.bind(memory) },
  }) as Broker;
  const { dialBroker } = await import("../../../src/messaging/dialled-broker.ts");
  const { toTransport } = await import("../../../src/core/call/transport.ts");
  const client = createClient(StockService, toTransport(dialBroker(silent, {}).invoker));
  const error = await failure(client.count({}), Code.Unimplemented);
  assert.equal(
    error.rawMessage,
    "kafka carries no replies: mark tsms.test.v1.StockService/Count one_way or dial it over gRPC",
  );
});

test("call: never sends what has a reply, always waits for that of a command", async () => {
  const never = await stock({ call: "never" });
  assert.equal((await never.client.sell({ sku: "A1" })).left, 0);
  assert.equal((await never.next()).event.type, "tsms.test.v1.StockService.Sell");
  const always = await answering(() => good(new Uint8Array()), { call: "always" });
  await always.reserve({ sku: "A1" });
});

test("JSON and structured mode are those of dial, too", async () => {
  const { client, next } = await stock({ encoding: "json", mode: "structured" });
  await client.reserve({ sku: "A1", count: 2 });
  const { data, event } = await next();
  assert.equal(Buffer.from(data.body ?? []).toString(), '{"sku":"A1","count":2}');
  assert.equal(event.type, "tsms.test.v1.StockService.Reserve");
});

test("interceptors of Connect stand around commands", async () => {
  const broker = memoryBroker();
  const reader = await Reading.start(broker, specOf(stockTopic, "stock", { types: [] }));
  const transport = dial(broker, {
    forwardHeaders: ["x-mark"],
    interceptors: [
      (next) => (request) => {
        request.header.set("x-mark", "m");
        return next(request);
      },
    ],
  });
  await createClient(StockService, transport).reserve({ sku: "A1" });
  const read = eventOf((await reader.next(1_000)).message);
  assert.equal(read.headers.get("x-mark"), "m");
  assert.equal(transport.state, "ready");
  await transport.ready();
  await failure(transport.ready(AbortSignal.abort()), Code.Unavailable);
});

const badOptions: readonly [options: object, text: RegExp][] = [
  [{ maxCall: 1 }, /dial: there is no option "maxCall"; did you mean maxCalls\?/],
  [{ maxCalls: 0 }, /dial: the option maxCalls must be at least 1/],
  [{ call: "sometimes" }, /dial: the option call must be "auto", "always" or "never"/],
  [{ timeoutMs: -1 }, /dial: the option timeoutMs must be above 0/],
  [{ forwardHeaders: ["te"] }, /dial: forwardHeaders cannot have "te"/],
];

for (const [options, text] of badOptions) {
  test(`dial to a broker refuses ${JSON.stringify(options)}`, () => {
    assert.throws(
      () => dial(memoryBroker(), options),
      (error) => error instanceof SetupError && text.test(error.message),
    );
  });
}

test("HTTP in front of a broker answers a command with 202, when it is stored", async () => {
  const { broker, next } = await stock();
  const http = new HttpServer({ upstream: dial(broker), port: 0, logger: false });
  http.addService(StockService);
  await http.start();
  try {
    const { port } = http.address ?? { port: 0 };
    const response = await fetch(`http://127.0.0.1:${port}/test/v1/stock:reserve`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"sku":"A1","count":3}',
    });
    assert.equal(response.status, 202);
    assert.equal(await response.text(), "{}");
    const { data } = await next();
    assert.equal(fromBinary(ReserveRequestSchema, data.body ?? new Uint8Array()).count, 3);
    const bad = await fetch(`http://127.0.0.1:${port}/test/v1/stock:reserve`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    assert.equal(bad.status, 400);
  } finally {
    await http.gracefulStop();
  }
});

/** A transaction in memory. */
class Rows extends Transaction {
  readonly rows: OutgoingMessage[] = [];

  include<T>(work: (add: AddMessages) => Promise<T>): Promise<T> {
    return work(async (messages) => void this.rows.push(...messages));
  }
}

test("42 commands that are sent in a transaction are rows of it, and calls are UNIMPLEMENTED", async () => {
  const tx = new Rows();
  const client = createClient(StockService, dial(tx, { source: "/shop" }));
  await client.reserve({ sku: "A1" });
  assert.deepEqual(
    tx.rows.map(({ event, to, mandatory }) => [event?.type, event?.source, to, mandatory]),
    [["tsms.test.v1.StockService.Reserve", "/shop", { kind: "topic", topic: stockTopic }, true]],
  );
  const error = await failure(client.sell({}), Code.Unimplemented);
  assert.match(error.rawMessage, /^a transaction carries no replies/);
});
