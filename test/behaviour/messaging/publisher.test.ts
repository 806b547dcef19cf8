import { strict as assert } from "node:assert";
import { test } from "node:test";
import { create, fromBinary, fromJsonString } from "@bufbuild/protobuf";
import { createContextValues, createHandlerContext } from "@connectrpc/connect";
import { PublishedPartSchema } from "../../../gen/ts_ms/messaging/v1/publishing_pb.ts";
import {
  OrderCancelledSchema,
  OrderPlacedSchema,
  SendMailRequestSchema,
  StockCountedSchema,
  StockService,
} from "../../../gen/tsms/test/v1/messages_pb.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { retryAfterMsOf } from "../../../src/core/errors/retry-info.ts";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import { Breaker } from "../../../src/core/resilience/breaker.ts";
import type { Broker, IncomingMessage, OutgoingMessage, Published } from "../../../src/messaging/broker.ts";
import { openBroker } from "../../../src/messaging/brokers.ts";
import { eventOf } from "../../../src/messaging/cloud-event.ts";
import { memoryBroker } from "../../../src/messaging/memory/memory-broker.ts";
import { type ConsumedMessage, messageKey } from "../../../src/messaging/message-context.ts";
import { breakPublishing } from "../../../src/messaging/publish-breaker.ts";
import { createPublisher, type PublisherParts } from "../../../src/messaging/publisher.ts";
import type { PublisherOptions, PublishInterceptor } from "../../../src/messaging/publish-options.ts";
import { type AddMessages, Transaction } from "../../../src/messaging/transaction.ts";
import { Reading, specOf } from "../../support/brokers/readings.ts";
import { failure, isImmediate } from "../../support/failure.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const nowMs = Date.UTC(2026, 0, 2);
const parts: PublisherParts = { wallMs: () => nowMs };

async function read(message: IncomingMessage | undefined) {
  assert.ok(message);
  const event = eventOf(message);
  assert.ok(event.kind === "event", JSON.stringify(event));
  return { ...event, key: message.key };
}

/** A broker with a reader of a topic. */
async function reading(topic: string, options: Parameters<typeof memoryBroker>[0] = {}) {
  const broker = memoryBroker(options);
  const reader = await Reading.start(broker, specOf(topic, "mail", { types: [] }));
  return { broker, next: async () => read((await reader.next(1_000)).message), reader };
}

/** A publisher whose broker never has room: one message waits there without a reader that settles it. */
async function full(options: Partial<PublisherOptions> = {}, more: PublisherParts = {}) {
  const { broker } = await reading("orders", { maxMessages: 1 });
  const events = createPublisher(broker, options, { ...parts, ...more });
  await events.publish(OrderPlacedSchema, { orderId: "0" });
  return { broker, events };
}

test("11 an event is published as its contract says", async () => {
  const { broker, next } = await reading("orders");
  const events = createPublisher(broker, { source: "/shop" }, { ...parts, newId: () => "id-1" });
  const published = await events.publish(OrderPlacedSchema, { orderId: "7", totalCents: 1999n });
  assert.deepEqual(published, { id: "id-1", topic: "orders", confirmed: true });
  const { event, data, headers, key } = await next();
  assert.deepEqual(event, {
    id: "id-1",
    source: "/shop",
    type: "tsms.test.v1.OrderPlaced",
    subject: "7",
    timeMs: nowMs,
    extensions: new Map([["partitionkey", "7"]]),
  });
  assert.equal(key, "7");
  assert.equal(headers.size, 0);
  assert.equal(data.contentType, "application/protobuf");
  assert.equal(fromBinary(OrderPlacedSchema, data.body ?? new Uint8Array()).totalCents, 1999n);
});

test("ids are UUIDs of version 7, in order, and the source is the program", async () => {
  const { broker, next } = await reading("stock");
  const events = createPublisher(broker);
  const { id } = await events.publish(StockCountedSchema, {});
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  const { event, data } = await next();
  assert.match(event.source, /^\/[^/]+$/);
  assert.equal(data.body?.length, 0);
});

test("what is given for one message wins over contract and publisher", async () => {
  const { broker, next } = await reading("special");
  const events = createPublisher(broker, {}, parts);
  await events.publish(
    OrderPlacedSchema,
    { orderId: "7" },
    {
      id: "mine",
      key: "k",
      topic: "special",
      subject: "s",
      source: "urn:a",
      time: new Date(5),
      headers: { "X-Note": "ü" },
      expiresAfterMs: 1_000,
      extensions: { tenant: "t" },
    },
  );
  const { event, headers, key } = await next();
  assert.deepEqual(event, {
    id: "mine",
    source: "urn:a",
    type: "tsms.test.v1.OrderPlaced",
    subject: "s",
    timeMs: 5,
    extensions: new Map([
      ["partitionkey", "k"],
      ["expirytime", "2026-01-02T00:00:01.000Z"],
      ["tenant", "t"],
    ]),
  });
  assert.deepEqual([...headers], [["x-note", "ü"]]);
  assert.equal(key, "k");
});

test("10 an event whose contract says so expires", async () => {
  const { broker, next } = await reading("orders");
  await createPublisher(broker, {}, parts).publish(OrderCancelledSchema, { order: { id: 5n } });
  const { event, key } = await next();
  assert.equal(event.type, "shop.order.cancelled");
  assert.equal(event.extensions.get("expirytime"), "2026-01-02T01:00:00.000Z");
  assert.equal(key, "5");
});

for (const mode of ["binary", "structured"] as const) {
  test(`bodies of JSON in mode ${mode}`, async () => {
    const { broker, next } = await reading("orders");
    const events = createPublisher(broker, { encoding: "json", mode }, parts);
    await events.publish(OrderPlacedSchema, { orderId: "7", totalCents: 2n ** 60n });
    const { data, event } = await next();
    assert.equal(data.contentType, "application/json");
    const text = Buffer.from(data.body ?? []).toString();
    assert.equal(fromJsonString(OrderPlacedSchema, text).totalCents, 2n ** 60n);
    assert.equal(event.subject, "7");
  });
}

test("an event may be of a type without the option, where a topic is given", async () => {
  const { broker, next } = await reading("mails");
  const events = createPublisher(broker, {}, parts);
  await assert.rejects(
    events.publish(SendMailRequestSchema, {}),
    (error) =>
      error instanceof SetupError &&
      error.message.includes("SendMailRequest (tsms/test/v1/messages.proto) is no event"),
  );
  await events.publish(SendMailRequestSchema, { to: "a" }, { topic: "mails" });
  assert.equal((await next()).event.type, "tsms.test.v1.SendMailRequest");
});

const refused: readonly [
  name: string,
  message: Readonly<Record<string, unknown>>,
  options: object,
  code: Code,
  text: RegExp,
][] = [
  [
    "no key",
    {},
    {},
    Code.InvalidArgument,
    /^order_id must be set: it is the ordering key of tsms\.test\.v1\.Order/,
  ],
  ["an empty key", { orderId: "7" }, { key: "" }, Code.InvalidArgument, /^key must not be empty/],
  ["a bad value", { orderId: 7 }, {}, Code.InvalidArgument, /order_id/],
  ["an empty id", { orderId: "7" }, { id: "" }, Code.InvalidArgument, /^id must not be empty/],
  ["a bad time", { orderId: "7" }, { time: Number.NaN }, Code.InvalidArgument, /^time must be/],
  [
    "a control character",
    { orderId: "7" },
    { subject: "a\r\nb" },
    Code.InvalidArgument,
    /^subject must have no contr/,
  ],
  [
    "no lifetime",
    { orderId: "7" },
    { expiresAfterMs: 0 },
    Code.InvalidArgument,
    /^expiresAfterMs must be above 0/,
  ],
  [
    "an attribute",
    { orderId: "7" },
    { extensions: { id: "2" } },
    Code.InvalidArgument,
    /extensions cannot have "id"/,
  ],
  [
    "a bad attribute",
    { orderId: "7" },
    { extensions: { "a-b": "" } },
    Code.InvalidArgument,
    /cannot have "a-b"/,
  ],
  [
    "a header of ours",
    { orderId: "7" },
    { headers: { "X-Ts-Ms-Attempt": "9" } },
    Code.InvalidArgument,
    /x-ts-ms-/,
  ],
  [
    "an attribute as header",
    { orderId: "7" },
    { headers: { ce_id: "9" } },
    Code.InvalidArgument,
    /marks an attribute/,
  ],
  [
    "an identity",
    { orderId: "7" },
    { headers: { "x-user-id": "9" } },
    Code.InvalidArgument,
    /belongs to a protocol/,
  ],
  [
    "a line break in a header",
    { orderId: "7" },
    { headers: { a: "b\nc" } },
    Code.InvalidArgument,
    /control character/,
  ],
  [
    "12 a large body",
    { orderId: "7", note: "x".repeat(2_000_000) },
    {},
    Code.ResourceExhausted,
    /maxMessageBytes is 1048/,
  ],
];

for (const [name, message, options, code, text] of refused) {
  test(`3, 12 refused before anything is sent: ${name}`, async () => {
    const { broker, reader } = await reading("orders");
    const events = createPublisher(broker, {}, parts);
    const error = await failure(events.publish(OrderPlacedSchema, message, options), code);
    assert.match(error.rawMessage, text);
    const all = failure(
      events.publishAll([{ schema: OrderPlacedSchema, message: { ...message }, ...options }]),
      code,
    );
    assert.match((await all).rawMessage, text);
    assert.equal(reader.deliveries.length, 0);
  });
}

const badOptions: readonly [options: object, text: RegExp][] = [
  [{ sourc: "/a" }, /no option "sourc"; did you mean source\?/],
  [{ source: "a b" }, /source must be a URI reference/],
  [{ encoding: "avro" }, /encoding must be "protobuf" or "json"/],
  [{ mode: "batch" }, /mode must be/],
  [{ timeoutMs: 0 }, /timeoutMs must be above 0/],
  [{ maxInFlight: 0 }, /maxInFlight must be at least 1/],
  [{ maxWaiting: -1 }, /maxWaiting must be 0 or more/],
  [{ forwardHeaders: ["X-Auth-User"] }, /forwardHeaders cannot have "x-auth-user"/],
];

for (const [options, text] of badOptions) {
  test(`options that cannot be used: ${JSON.stringify(options)}`, () => {
    assert.throws(
      () => createPublisher(memoryBroker(), options),
      (error) => error instanceof SetupError && text.test(error.message),
    );
  });
}

test("a publisher needs a broker", () => {
  // As JavaScript may call it.
  assert.throws(
    () => createPublisher({} as Broker),
    /createPublisher: the first argument must be a broker, not \{\}/,
  );
});

test("12 a broker without room: c=14 by the deadline, and the text says that nothing was sent", async () => {
  const clock = new VirtualClock();
  const { events } = await full({}, { clock });
  const late = failure(events.publish(OrderPlacedSchema, { orderId: "1" }), Code.Unavailable);
  await clock.pass(4_999);
  assert.equal(await isImmediate(late), false);
  await clock.pass(1);
  assert.match((await late).rawMessage, /^not sent: /);
});

test("14 a signal takes a message out, and says why", async () => {
  const { events } = await full();
  const cancelled = AbortSignal.abort();
  await failure(events.publish(OrderPlacedSchema, { orderId: "1" }, { signal: cancelled }), Code.Canceled);
  const controller = new AbortController();
  const { signal } = controller;
  const taken = failure(events.publish(OrderPlacedSchema, { orderId: "1" }, { signal }), Code.Canceled);
  controller.abort();
  assert.match((await taken).rawMessage, /^not sent: /);
});

test("13 events of one key are stored in the order of the calls, awaited or not", async () => {
  const { broker, reader } = await reading("orders");
  const forward: PublishInterceptor = (next) => async (message, signal) => next(message, signal);
  const events = createPublisher(broker, { maxInFlight: 3, interceptors: [forward, forward] });
  const sent: Promise<Published>[] = [];
  for (let count = 0; count < 200; count++) {
    sent.push(events.publish(OrderPlacedSchema, { orderId: "7" }, { id: String(count) }));
    if (count % 7 === 0) await sent.at(-1);
  }
  const all = events.publishAll(
    [200, 201, 202, 203, 204].map((id) => ({
      schema: OrderPlacedSchema,
      message: { orderId: "7" },
      id: String(id),
    })),
  );
  sent.push(events.publish(OrderPlacedSchema, { orderId: "7" }, { id: "205" }));
  await Promise.all([...sent, all]);
  for (let count = 0; count < 206; count++) {
    const delivery = await reader.next(1_000);
    delivery.settle();
    assert.equal((await read(delivery.message)).event.id, String(count));
  }
});

test("14 publishAll names what is confirmed and what is not", async () => {
  const { broker } = await reading("orders", { maxMessages: 2 });
  const clock = new VirtualClock();
  const events = createPublisher(broker, {}, { ...parts, clock });
  const items = ["a", "b", "c", "d"].map((id) => ({
    schema: OrderPlacedSchema,
    message: { orderId: "7" },
    id,
  }));
  const partly = failure(events.publishAll(items), Code.Aborted);
  await clock.pass(5_000);
  const error = await partly;
  assert.match(error.rawMessage, /^2 of 4 messages are not confirmed, the first of them: not sent/);
  const [part] = error.findDetails(PublishedPartSchema);
  assert.deepEqual(part?.confirmed, ["a", "b"]);
  assert.deepEqual(
    part.failed.map(({ id, status }) => [id, status?.code]),
    [
      ["c", Code.Unavailable],
      ["d", Code.Unavailable],
    ],
  );
});

test("12, 14 what finds no place in the queue is refused at once, of publishAll the whole", async () => {
  const { events } = await full({ maxInFlight: 1, maxWaiting: 2, timeoutMs: 60_000 });
  const controller = new AbortController();
  const { signal } = controller;
  const under = [1, 2, 3].map((id) => events.publish(OrderPlacedSchema, { orderId: `${id}` }, { signal }));
  const refusal = await failure(events.publish(OrderPlacedSchema, { orderId: "4" }), Code.Unavailable);
  assert.equal(retryAfterMsOf(refusal), 1_000);
  assert.match(refusal.rawMessage, /^not sent: 1 messages are not confirmed, and 2 wait/);
  const items = [{ schema: OrderPlacedSchema, message: { orderId: "5" } }];
  assert.ok(retryAfterMsOf(await failure(events.publishAll(items), Code.Unavailable)));
  controller.abort();
  await Promise.allSettled(under);
});

test("interceptors stand around each message, the first outermost, and may change it", async () => {
  const { broker, next } = await reading("orders");
  const log: string[] = [];
  const named =
    (name: string): PublishInterceptor =>
    (inner) =>
    async (message, signal) => {
      log.push(`${name} ${message.event?.id}`);
      const headers = new Map([...message.headers, [name, "1"]]);
      const published = await inner({ ...message, headers }, signal);
      log.push(`${name} ${published.confirmed}`);
      return published;
    };
  const events = createPublisher(broker, { interceptors: [named("a"), named("b")] });
  await events.publish(OrderPlacedSchema, { orderId: "7" }, { id: "1" });
  assert.deepEqual(log, ["a 1", "b 1", "b true", "a true"]);
  assert.deepEqual(
    [...(await next()).headers],
    [
      ["a", "1"],
      ["b", "1"],
    ],
  );
});

test("16 a breaker counts c=14 and c=4 alone, and refuses at once while it is open", async () => {
  const clock = new VirtualClock();
  const breaker = new Breaker({ name: "orders topic", minCalls: 2 }, { clock });
  const { events } = await full({ interceptors: [breakPublishing(breaker)], timeoutMs: 2_000 }, { clock });
  for (let count = 0; count < 5; count++) {
    await failure(
      events.publish(OrderPlacedSchema, { orderId: "1", note: "x".repeat(2e6) }),
      Code.ResourceExhausted,
    );
    await failure(
      events.publish(OrderPlacedSchema, { orderId: "1" }, { signal: AbortSignal.abort() }),
      Code.Canceled,
    );
  }
  assert.equal(breaker.state.kind, "closed");
  for (let count = 0; count < 2; count++) {
    const late = failure(events.publish(OrderPlacedSchema, { orderId: "1" }), Code.Unavailable);
    await clock.pass(2_000);
    await late;
  }
  assert.equal(breaker.state.kind, "open");
  const refusal = failure(events.publish(OrderPlacedSchema, { orderId: "1" }), Code.Unavailable);
  assert.ok(await isImmediate(refusal));
  assert.equal((await refusal).rawMessage, "orders topic: circuit open");
  assert.ok(retryAfterMsOf(await refusal));
});

test("4 what is published while a message is handled has its correlation, its id, and its trace", async () => {
  const { broker, next } = await reading("orders");
  const events = createPublisher(broker, { forwardHeaders: ["x-tenant"] }, parts);
  const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const contextOf = (extensions: ReadonlyMap<string, string>) => {
    const message: ConsumedMessage = {
      id: "cause",
      source: "/a",
      type: "a",
      subject: undefined,
      timeMs: undefined,
      extensions,
      key: undefined,
      topic: "a",
      group: "g",
      partition: undefined,
      offset: undefined,
      attempt: 1,
      redelivered: false,
      headers: new Map(),
    };
    return createHandlerContext({
      service: StockService,
      method: StockService.method.reserve,
      protocolName: "memory",
      requestMethod: "POST",
      url: "/",
      contextValues: createContextValues().set(messageKey, message),
      requestHeader: new Headers({
        traceparent: trace,
        tracestate: "a=1",
        "accept-language": "de",
        authorization: "Bearer secret",
        "x-tenant": "t",
        "x-other": "o",
      }),
    });
  };
  await events.publish(OrderPlacedSchema, { orderId: "7" }, { context: contextOf(new Map()) });
  const first = await next();
  assert.deepEqual(Object.fromEntries(first.event.extensions), {
    partitionkey: "7",
    traceparent: trace,
    tracestate: "a=1",
    correlationid: "cause",
    causationid: "cause",
  });
  assert.deepEqual(Object.fromEntries(first.headers), {
    traceparent: trace,
    tracestate: "a=1",
    "accept-language": "de",
    "x-tenant": "t",
  });
  const context = contextOf(new Map([["correlationid", "root"]]));
  await events.publish(OrderPlacedSchema, { orderId: "7" }, { context });
  const second = (await next()).event.extensions;
  assert.deepEqual([second.get("correlationid"), second.get("causationid")], ["root", "cause"]);
});

/** A transaction in memory. */
class Rows extends Transaction {
  readonly rows: OutgoingMessage[] = [];

  include<T>(work: (add: AddMessages) => Promise<T>): Promise<T> {
    return work(async (messages) => void this.rows.push(...messages));
  }
}

test("42 within a transaction a message is a row, and is not confirmed", async () => {
  const { broker, reader } = await reading("orders");
  const seen: string[] = [];
  const look: PublishInterceptor = (next) => (message, signal) => {
    seen.push(message.event?.id ?? "");
    return next(message, signal);
  };
  const events = createPublisher(broker, { interceptors: [look] }, parts);
  const tx = new Rows();
  const published = events.in(tx).publish(OrderPlacedSchema, { orderId: "7" }, { id: "1" });
  assert.equal(tx.rows.length, 1); // Before anything is awaited, for databases whose transactions are synchronous.
  assert.deepEqual(await published, { id: "1", topic: "orders", confirmed: false });
  const all = await events
    .in(tx)
    .publishAll([{ schema: OrderPlacedSchema, message: { orderId: "8" }, id: "2" }]);
  assert.deepEqual(all, [{ id: "2", topic: "orders", confirmed: false }]);
  assert.deepEqual(
    tx.rows.map(({ event, to }) => [event?.id, to]),
    [
      ["1", { kind: "topic", topic: "orders" }],
      ["2", { kind: "topic", topic: "orders" }],
    ],
  );
  assert.deepEqual(seen, ["1", "2"]);
  assert.equal(reader.deliveries.length, 0);
});

test("a broker is opened by its URL", async () => {
  const broker = await openBroker("memory:", { name: "here" });
  assert.deepEqual([broker.system, broker.name], ["memory", "here"]);
  await assert.rejects(openBroker("memry:"), /begins with memory:.*, not memry:; did you mean memory:\?/);
  await assert.rejects(
    openBroker("user:secret@host"),
    (error) => error instanceof SetupError && !error.message.includes("secret"),
  );
  await assert.rejects(openBroker("localhost"), /not a text without one/);
});

test("an exception of an interceptor is INTERNAL", async () => {
  const broken: PublishInterceptor = () => () => Promise.reject(new Error("of an interceptor"));
  const events = createPublisher(memoryBroker(), { interceptors: [broken] });
  await failure(events.publish(OrderPlacedSchema, { orderId: "7" }), Code.Internal);
});

test("a message that was made before is published as it is", async () => {
  const { broker, next } = await reading("orders");
  await createPublisher(broker).publish(OrderPlacedSchema, create(OrderPlacedSchema, { orderId: "9" }));
  assert.equal((await next()).key, "9");
});
