import { strict as assert } from "node:assert";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import {
  MailService,
  OrderCancelledSchema,
  OrderPlacedSchema,
  SendMailRequestSchema,
  StockCountedSchema,
  StockService,
} from "../../gen/tsms/test/v1/messages_pb.ts";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import { SetupError } from "../../src/core/errors/setup-error.ts";
import {
  checkConsumed,
  consumedRpcs,
  type ConsumedRpc,
  eventContract,
  keyOf,
  sentCommand,
} from "../../src/messaging/contract.ts";
import type { ConsumeOverride } from "../../src/messaging/consume-settings.ts";
import { builtContract } from "../support/built-contract.ts";
import { serviceOf, typeOf } from "../support/contract.ts";

const mail = "tsms.test.v1.MailService";
const stock = "tsms.test.v1.StockService";

function shown({ name, kind, topic, group, type, key, ordering, batch, oneWay }: ConsumedRpc) {
  return [name, kind, topic, group, type, key?.path, ordering, batch, oneWay];
}

test("events are read from their topic, by the group of their service", () => {
  assert.deepEqual(consumedRpcs(MailService).map(shown), [
    [
      `${mail}/OnOrderPlaced`,
      "event",
      "orders",
      mail,
      "tsms.test.v1.OrderPlaced",
      "order_id",
      "key",
      undefined,
      true,
    ],
    [
      `${mail}/OnOrderCancelled`,
      "event",
      "orders",
      mail,
      "shop.order.cancelled",
      "order.id",
      "key",
      undefined,
      true,
    ],
    [
      `${mail}/IndexOrders`,
      "event",
      "orders",
      "search",
      "tsms.test.v1.OrderPlaced",
      "order_id",
      "key",
      { max: 10, waitMs: 50 },
      true,
    ],
    [
      `${mail}/OnStockCounted`,
      "event",
      "stock",
      mail,
      "tsms.test.v1.StockCounted",
      undefined,
      "none",
      undefined,
      true,
    ],
  ]);
});

test("commands have the topic of their service, and their rpc as type", () => {
  assert.deepEqual(consumedRpcs(StockService).map(shown), [
    [`${stock}/Reserve`, "command", stock, "stock", `${stock}.Reserve`, "sku", "key", undefined, true],
    [`${stock}/Restock`, "command", stock, "stock", `${stock}.Restock`, undefined, "none", undefined, true],
    [`${stock}/Count`, "command", stock, "stock", `${stock}.Count`, undefined, "none", undefined, false],
    [`${stock}/Sell`, "command", stock, "stock", `${stock}.Sell`, undefined, "none", undefined, false],
  ]);
});

test("timeout, attempts and outcomes are of their rpc", () => {
  const rpc = consumedRpcs(MailService)[1];
  assert.equal(rpc?.timeoutMs, 5000);
  assert.equal(rpc?.attempts, 2);
  assert.deepEqual(
    [...(rpc?.outcomes ?? [])],
    [
      [Code.NotFound, "retry"],
      [Code.Unavailable, "drop"],
    ],
  );
});

test("an event has topic, type, subject and expiry", () => {
  const placed = eventContract(OrderPlacedSchema);
  assert.equal(placed?.topic, "orders");
  assert.equal(placed?.subject?.path, "order_id");
  assert.equal(placed?.expiresAfterMs, undefined);
  assert.equal(eventContract(OrderCancelledSchema)?.expiresAfterMs, 3_600_000);
  assert.equal(eventContract(SendMailRequestSchema), undefined);
});

test("overrides make rpcs of foreign contracts consumers, and change others field by field", () => {
  const [placed] = consumedRpcs(MailService, { OnOrderPlaced: { group: "audit", ordering: "none" } });
  assert.deepEqual(placed && shown(placed).slice(2, 7), [
    "orders",
    "audit",
    "tsms.test.v1.OrderPlaced",
    "order_id",
    "none",
  ]);
  const override: ConsumeOverride = {
    topic: "prices",
    group: "feed",
    type: "partner.price",
    framing: "confluent",
    outcomes: { NOT_FOUND: "drop" },
    attempts: 3,
    timeoutMs: 100,
  };
  const send = consumedRpcs(MailService, { [`${mail}/SendMail`]: override }).find(
    ({ type }) => type === "partner.price",
  );
  assert.deepEqual(send && shown(send).slice(1, 7), [
    "command",
    "prices",
    "feed",
    "partner.price",
    undefined,
    "none",
  ]);
  assert.equal(send?.framing, "confluent");
  assert.deepEqual([...(send?.outcomes ?? [])], [[Code.NotFound, "drop"]]);
  assert.deepEqual([send?.attempts, send?.timeoutMs], [3, 100]);
});

const badOverrides: readonly [Readonly<Record<string, unknown>>, RegExp][] = [
  [{ OnOrderPlacd: {} }, /MailService has no rpc "OnOrderPlacd" to consume by; did you mean OnOrderPlaced\?/],
  [
    { OnOrderPlaced: { grup: "a" } },
    /OnOrderPlaced \(tsms\/test\/v1\/messages\.proto\): there is no option "grup"/,
  ],
  [{ OnOrderPlaced: { ordering: "KEY" } }, /ordering must be key, partition or none, not 'KEY'/],
  [{ OnOrderPlaced: { framing: "avro" } }, /framing must be none or confluent/],
  [{ OnOrderPlaced: { outcomes: { NOPE: "dead" } } }, /outcomes names "NOPE"/],
  [{ OnOrderPlaced: { outcomes: { NOT_FOUND: "die" } } }, /outcomes\.NOT_FOUND must be retry, dead or drop/],
  [{ OnOrderPlaced: { attempts: 0 } }, /attempts must be a whole number of at least 1, not 0/],
  [{ OnOrderPlaced: { timeoutMs: 0 } }, /timeoutMs must be above 0/],
  [{ OnOrderPlaced: { batch: {} } }, /only a client-streaming rpc can have batch/],
  [{ OnOrderPlaced: { key: "note" } }, /key of \(ts_ms\.v1\.consume\) is for commands/],
  [
    { SendMail: { key: "from" } },
    /key of \(ts_ms\.v1\.consume\) "from" names "from", which tsms\.test\.v1\.SendMailReq/,
  ],
  [{ OnOrderPlaced: { topic: "a/b" } }, /the topic "a\/b" must consist/],
  [
    { IndexOrders: { group: mail } },
    /both take the type tsms\.test\.v1\.OrderPlaced of the topic orders in the group/,
  ],
  [
    { OnOrderPlaced: { topic: "a.b", group: "c" }, SendMail: { topic: "a", group: "b.c" } },
    /the topic a\.b with the group c and the topic a with the group b\.c make one queue a\.b\.c/,
  ],
];

for (const [overrides, message] of badOverrides) {
  test(`refused at start: ${JSON.stringify(overrides)}`, () => {
    // As JavaScript or a configuration may give them.
    const given = overrides as Readonly<Record<string, ConsumeOverride>>;
    assert.throws(
      () => consumedRpcs(MailService, given),
      (error) => error instanceof SetupError && message.test(error.message),
    );
  });
}

test("consumers of two services are checked together", () => {
  const rpcs = consumedRpcs(MailService);
  assert.throws(
    () => checkConsumed([...rpcs, ...rpcs]),
    /OnOrderPlaced .* and .*OnOrderPlaced .*both take the type/,
  );
});

const contract = builtContract({
  "shop/v1/shop.proto": `syntax = "proto3";
    package shop.v1;
    import "google/protobuf/empty.proto";
    import "ts_ms/v1/messaging.proto";
    enum Kind { KIND_UNSPECIFIED = 0; KIND_NEW = 1; }
    message Inner { int64 id = 1; }
    message Values {
      string text = 1; int64 number = 2; optional int32 maybe = 3; bool flag = 4; Kind kind = 5; bytes raw = 6;
      Inner inner = 7; oneof choice { string left = 8; uint64 right = 9; }
      double float = 10; repeated string list = 11; map<string, string> map = 12;
    }
    ${["text", "number", "maybe", "flag", "kind", "raw", "inner.id", "left", "right"]
      .map((path, at) => event(`Good${at}`, `topic: "a" key: "v.${path}"`))
      .join("\n")}
    ${["float", "list", "map", "inner", "nope", "list.a", "inner.", ""]
      .map((path, at) => event(`Bad${at}`, `topic: "a" key: "v.${path}"`))
      .join("\n")}
    ${event("NoTopic", 'key: "v.text"')}
    ${event("BadTopic", 'topic: "a b"')}
    ${event("BadExpiry", 'topic: "a" expires_after: "soon"')}
    ${event("NoExpiry", 'topic: "a" expires_after: "0"')}
    service BatchlessService { rpc R(stream Values) returns (google.protobuf.Empty) { option (ts_ms.v1.consume) = {}; } }
    service StreamService { rpc R(Values) returns (stream Values) { option (ts_ms.v1.consume) = {}; } }
    service BidiService { rpc R(stream Values) returns (stream Values) { option (ts_ms.v1.consume) = { batch {} }; } }
    service WaitService {
      rpc R(stream Values) returns (google.protobuf.Empty) { option (ts_ms.v1.consume) = { batch { wait: "x" } }; }
    }
    service TimeoutService { rpc R(Values) returns (google.protobuf.Empty) { option (ts_ms.v1.consume) = { timeout: "1" }; } }
    service OutcomeService {
      rpc R(Values) returns (google.protobuf.Empty) { option (ts_ms.v1.consume) = { outcomes { code: OK then: DEAD } }; }
    }
    service SharedService {
      option (ts_ms.v1.consumer) = { topic: "t" group: "g" };
      rpc R(Good0) returns (google.protobuf.Empty) { option (ts_ms.v1.consume) = {}; }
      rpc S(Values) returns (google.protobuf.Empty) { option (ts_ms.v1.consume) = { topic: "u" group: "h" }; }
    }`,
}).registry;

function event(name: string, options: string): string {
  return `message ${name} { option (ts_ms.v1.event) = { ${options} }; Values v = 1; }`;
}

const keys: readonly [at: number, values: object, text: string | undefined][] = [
  [0, { text: "ü" }, "ü"],
  [0, {}, undefined],
  [1, { number: -9007199254740993n }, "-9007199254740993"],
  [1, { number: 0n }, undefined],
  [2, { maybe: 0 }, "0"],
  [2, {}, undefined],
  [3, { flag: true }, "true"],
  [3, {}, "false"],
  [4, { kind: 1 }, "KIND_NEW"],
  [4, { kind: 7 }, "7"],
  [4, {}, undefined],
  [5, { raw: new Uint8Array([255, 254]) }, "__4"],
  [5, {}, undefined],
  [6, { inner: { id: 5n } }, "5"],
  [6, { inner: {} }, undefined],
  [6, {}, undefined],
  [7, { choice: { case: "left", value: "l" } }, "l"],
  [7, { choice: { case: "left", value: "" } }, undefined],
  [7, { choice: { case: "right", value: 1n } }, undefined],
  [8, { choice: { case: "right", value: 0n } }, "0"],
];

for (const [at, values, text] of keys) {
  const name = `shop.v1.Good${at}`;
  const shownValues = JSON.stringify(values, (_, value: unknown) =>
    typeof value === "bigint" ? `${value}` : value,
  );
  test(`the key of ${name} with ${shownValues} is ${text}`, () => {
    const schema = typeOf(contract, name);
    const stated = eventContract(schema);
    assert.ok(stated);
    const message = create(schema, { v: values });
    if (text !== undefined) assert.equal(keyOf(stated, message), text);
    else {
      assert.throws(
        () => keyOf(stated, message),
        (error) =>
          error instanceof ConnectError &&
          error.code === Code.InvalidArgument &&
          error.rawMessage === `${stated.key?.path} must be set: it is the ordering key of ${name}`,
      );
    }
  });
}

test("a message without its inner message has no key", () => {
  const stated = eventContract(typeOf(contract, "shop.v1.Good0"));
  assert.throws(
    () => stated && keyOf(stated, create(typeOf(contract, "shop.v1.Good0"))),
    /v\.text must be set/,
  );
});

const badEvents: readonly [name: string, message: RegExp][] = [
  ["Bad0", /"v\.float" is neither a singular text nor an integer/],
  ["Bad1", /"v\.list" is neither/],
  ["Bad2", /"v\.map" is neither/],
  ["Bad3", /"v\.inner" is neither/],
  ["Bad4", /"v\.nope" names "nope", which shop\.v1\.Values does not have/],
  ["Bad5", /"v\.list\.a" goes through list, which is no singular message/],
  ["Bad6", /"v\.inner\." names "", which shop\.v1\.Inner does not have/],
  ["Bad7", /"v\." names ""/],
  ["NoTopic", /\(ts_ms\.v1\.event\) has no topic/],
  ["BadTopic", /the topic "a b" must consist of/],
  ["BadExpiry", /expires_after of \(ts_ms\.v1\.event\) must be a duration/],
  ["NoExpiry", /expires_after of \(ts_ms\.v1\.event\) must be above 0, not "0"/],
];

for (const [name, message] of badEvents) {
  test(`the event ${name} is refused`, () => {
    assert.throws(
      () => eventContract(typeOf(contract, `shop.v1.${name}`)),
      (error) =>
        error instanceof SetupError &&
        error.message.startsWith(`shop.v1.${name} (shop/v1/shop.proto): `) &&
        message.test(error.message),
    );
  });
}

const badServices: readonly [name: string, message: RegExp][] = [
  ["Batchless", /a client-streaming rpc consumes batches only: set batch/],
  ["Stream", /its reply is a stream/],
  ["Bidi", /its reply is a stream/],
  ["Wait", /batch\.wait of \(ts_ms\.v1\.consume\) must be a duration .*, not "x"/],
  ["Timeout", /timeout of \(ts_ms\.v1\.consume\) must be a duration .*, not "1"/],
  ["Outcome", /outcomes of \(ts_ms\.v1\.consume\) need a code other than OK/],
];

for (const [name, message] of badServices) {
  test(`the consumer of ${name}Service is refused`, () => {
    assert.throws(
      () => consumedRpcs(serviceOf(contract, `shop.v1.${name}Service`)),
      (error) =>
        error instanceof SetupError &&
        error.message.startsWith(`shop.v1.${name}Service/R (shop/v1/shop.proto): `) &&
        message.test(error.message),
    );
  });
}

test("what a service says counts for its rpcs that say nothing", () => {
  const rpcs = consumedRpcs(serviceOf(contract, "shop.v1.SharedService"));
  assert.deepEqual(
    rpcs.map(({ topic, group }) => [topic, group]),
    [
      ["t", "g"],
      ["u", "h"],
    ],
  );
});

test("a client sends only what is marked", () => {
  assert.equal(sentCommand(StockService.method.reserve)?.topic, stock);
  assert.equal(sentCommand(StockService.method.audit), undefined);
  assert.equal(sentCommand(StockService.method.audit, { topic: "audit" })?.topic, "audit");
});

test("an event without a key has none", () => {
  const stated = eventContract(StockCountedSchema);
  assert.equal(stated && keyOf(stated, create(StockCountedSchema)), undefined);
});
