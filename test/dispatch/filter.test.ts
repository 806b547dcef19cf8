import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { create, createRegistry, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { FilterSchema } from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import { EventSchema } from "../../gen/ts_ms/dispatch/v1/task_pb.ts";
import { file_tsms_test_v1_messages, OrderPlacedSchema } from "../../gen/tsms/test/v1/messages_pb.ts";
import { Code } from "../../src/core/errors/errors.ts";
import { DispatchedEvent } from "../../src/dispatch/dispatched-event.ts";
import { eventTypesOf } from "../../src/dispatch/event-types.ts";
import { compileFilter } from "../../src/dispatch/filter.ts";
import { SlowConditions } from "../../src/dispatch/slow-conditions.ts";
import { type Indexed, SubscriptionIndex } from "../../src/dispatch/subscription-index.ts";
import { failure } from "../support/failure.ts";

type Given = MessageInitShape<typeof FilterSchema>;

const registry = createRegistry(file_tsms_test_v1_messages);
const types = eventTypesOf(registry);
const placed = "tsms.test.v1.OrderPlaced";
const scope = { registry, types };

const type = types.get(placed) ?? assert.fail("the type is known");
const event = new DispatchedEvent(
  type,
  create(EventSchema, {
    id: "1",
    source: "/shop/eu",
    type: placed,
    subject: "7",
    timeMs: 1_767_225_600_000n,
    extensions: { tenant: "acme" },
    data: toBinary(OrderPlacedSchema, create(OrderPlacedSchema, { orderId: "7", totalCents: 12_000n })),
  }),
);

const compile = (given: Given | undefined) =>
  compileFilter(given && create(FilterSchema, given), scope, "filter");

suite("filters, 50:", () => {
  const matching: readonly [name: string, filter: Given | undefined, holds: boolean][] = [
    ["none", undefined, true],
    ["an empty one", {}, true],
    ["its type", { types: ["shop.order.cancelled", placed] }, true],
    ["another type", { types: ["shop.order.cancelled"] }, false],
    ["exact", { exact: { source: "/shop/eu", subject: "7" } }, true],
    ["exact, one of two", { exact: { source: "/shop/eu", subject: "8" } }, false],
    ["exact, other case", { exact: { source: "/Shop/eu" } }, false],
    ["exact of an extension", { exact: { tenant: "acme" } }, true],
    ["exact of specversion", { exact: { specversion: "1.0" } }, true],
    ["exact of the time", { exact: { time: "2026-01-01T00:00:00.000Z" } }, true],
    ["a missing attribute", { exact: { region: "eu" } }, false],
    ["prefix", { prefix: { type: "tsms.test." } }, true],
    ["prefix of a missing attribute", { prefix: { region: "e" } }, false],
    ["suffix", { suffix: { source: "/eu" } }, true],
    ["suffix, not", { suffix: { source: "/us" } }, false],
    ["not", { not: { exact: { tenant: "acme" } } }, false],
    ["not of a missing attribute", { not: { exact: { region: "eu" } } }, true],
    ["not of nothing", { not: {} }, false],
    ["all", { all: [{ exact: { subject: "7" } }, { prefix: { source: "/shop" } }] }, true],
    ["all, one not", { all: [{ exact: { subject: "7" } }, { prefix: { source: "/x" } }] }, false],
    ["any", { any: [{ exact: { subject: "8" } }, { prefix: { source: "/shop" } }] }, true],
    ["any, none", { any: [{ exact: { subject: "8" } }, { exact: { subject: "9" } }] }, false],
    ["everything that is set", { exact: { subject: "7" }, prefix: { source: "/x" } }, false],
    ["cel over data", { types: [placed], cel: "data.total_cents > 10000" }, true],
    ["cel over data, not", { cel: "data.total_cents > 20000" }, false],
    ["cel over event", { cel: 'event.tenant == "acme" && event.source.startsWith("/shop")' }, true],
    ["cel with has", { cel: "has(event.region)" }, false],
    ["cel in not", { not: { cel: 'data.note == "x"' } }, true],
  ];
  for (const [name, given, holds] of matching) {
    test(name, async () => {
      const filter = await compile(given);
      const isOfType = filter.types?.includes(placed) ?? true; // As the index looks at it.
      assert.equal(isOfType && filter.holds(event), holds);
    });
  }

  test("a condition that cannot be computed does not hold, and neither does what is not it", async () => {
    for (const given of [{ cel: 'event.region == "eu"' }, { not: { cel: 'event.region == "eu"' } }]) {
      const filter = await compile(given);
      assert.throws(() => filter.holds(event), /region/);
      assert.ok(
        filter.findings(event).some(({ holds, why }) => !holds && why.includes("cannot be computed")),
      );
    }
  });

  test("findings say of each part whether it holds, and what the event has", async () => {
    const filter = await compile({
      types: [placed],
      exact: { region: "eu" },
      any: [{ exact: { subject: "8" } }, { suffix: { source: "eu" } }],
    });
    assert.deepEqual(
      filter.findings(event).map(({ path, holds }) => [path, holds]),
      [
        ["filter.types", true],
        ["filter.exact.region", false],
        ["filter.any", true],
        ["filter.any[0]", false],
        ["filter.any[0].exact.subject", false],
        ["filter.any[1]", true],
        ["filter.any[1].suffix.source", true],
      ],
    );
    assert.match(filter.findings(event)[1]?.why ?? "", /the event has no region/);
  });

  const byType: readonly [name: string, filter: Given, types: readonly string[] | undefined][] = [
    ["none", {}, undefined],
    ["types", { types: [placed] }, [placed]],
    ["exact", { exact: { type: placed } }, [placed]],
    ["prefix", { prefix: { type: "tsms." } }, undefined],
    ["types and exact", { types: [placed, "shop.order.cancelled"], exact: { type: placed } }, [placed]],
    ["all", { all: [{ types: [placed] }, {}] }, [placed]],
    ["any of types", { any: [{ types: [placed] }, { exact: { type: "x" } }] }, [placed, "x"]],
    ["any with another", { any: [{ types: [placed] }, { exact: { subject: "x" } }] }, undefined],
    ["not", { not: { types: [placed] } }, undefined],
  ];
  for (const [name, given, expected] of byType) {
    test(`the index has a filter by its types: ${name}`, async () => {
      const { types: found } = await compile(given);
      assert.deepEqual(found && [...found], expected);
    });
  }

  test("the index gives only those that can match", async () => {
    const index = new SubscriptionIndex();
    const [any, one, other] = [
      { filter: await compile({}) },
      { filter: await compile({ types: [placed] }) },
      { filter: await compile({ types: ["shop.order.cancelled"] }) },
    ];
    for (const each of [any, one, other]) index.add(each);
    assert.deepEqual(candidates(index), [[one], [any]]);
    index.remove(one);
    assert.deepEqual(candidates(index), [[any]]);
    index.remove(one); // It is not there any more.
  });

  test("the index has subscriptions with equal filters together, with one filter", async () => {
    const index = new SubscriptionIndex();
    const [first, second] = [
      { filter: await compile({ types: [placed], exact: { subject: "7" } }) },
      { filter: await compile({ types: [placed], exact: { subject: "7" } }) },
    ];
    const other = { filter: await compile({ types: [placed], exact: { subject: "8" } }) };
    assert.equal(index.shared(first.filter), first.filter);
    for (const each of [first, second, other]) index.add(each);
    assert.deepEqual(candidates(index), [[first, second], [other]]);
    assert.equal(index.shared(second.filter), first.filter);
    index.remove(first);
    assert.deepEqual(candidates(index), [[second], [other]]);
    index.remove(second);
    assert.deepEqual(candidates(index), [[other]]);
  });

  test("a narrowed filter has the key of no other one", async () => {
    const wide = await compile({ exact: { subject: "7" } });
    const narrow = wide.narrowed([placed]);
    assert.deepEqual(narrow.types, [placed]);
    assert.notEqual(narrow.key, wide.key);
    assert.equal(narrow.key, (await compile({ exact: { subject: "7" } })).narrowed([placed]).key);
    // As bytes, a filter by types begins with a line break and the length of the first one: the code of a letter.
    const long = `c${"o".repeat(98)}`;
    const all = (await compile(undefined)).narrowed([`${String.fromCharCode(long.length)}${long}`]);
    const byTypes = toBinary(FilterSchema, create(FilterSchema, { types: [long] }));
    assert.notEqual(all.key, Buffer.from(byTypes).toString("latin1"));
    assert.equal(wide.narrowed([placed]).narrowed(["other"]).types?.[0], placed);
  });

  function candidates(index: SubscriptionIndex<Indexed>): Indexed[][] {
    const found: Indexed[][] = [];
    index.eachCandidate(placed, ({ subscriptions }) => found.push([...subscriptions]));
    return found;
  }
});

suite("filters that are refused, 50, 51:", () => {
  const deep = (depth: number): Given => (depth === 0 ? {} : { not: deep(depth - 1) });
  const refused: readonly [name: string, filter: Given, text: RegExp][] = [
    ["an unknown type", { types: ["tsms.test.v1.OrderPlaecd"] }, /did you mean tsms\.test\.v1\.OrderPlaced/],
    ["a name that no attribute has", { exact: { "my-tenant": "x" } }, /exact\.my-tenant: is no name/],
    ["an empty text", { prefix: { source: "" } }, /prefix\.source: is empty/],
    ["too deep", deep(9), /8 deep/],
    [
      "too many parts",
      { any: Array.from({ length: 129 }, () => ({ exact: { subject: "x" } })) },
      /128 parts/,
    ],
    ["too long", { exact: { subject: "x".repeat(20_000) } }, /16384 characters/],
    ["cel: syntax", { cel: "data.total_cents >\n > 1" }, /filter\.cel: line \d, column \d+: /],
    ["cel: another name", { cel: 'request.id == "1"' }, /knows event and data, and no "request"/],
    ["cel: a function that there is not", { cel: "nope(data.note)" }, /there is no function "nope"/],
    ["cel: a method that there is not", { cel: "data.note.nope()" }, /there is no function "nope"/],
    ["cel: a missing field", { types: [placed], cel: "data.total_cent > 1" }, /did you mean total_cents/],
    [
      "cel: a field that one of two types lacks",
      { types: [placed, "shop.order.cancelled"], cel: "data.total_cents > 1" },
      /OrderCancelled has no field "total_cents"/,
    ],
    [
      "cel: a field of a text",
      { types: [placed], cel: 'data.note.length == "1"' },
      /note of .* has no field/,
    ],
    [
      "cel: a missing field in a message",
      { types: ["shop.order.cancelled"], cel: "data.order.idd == 1" },
      /OrderRef has no field "idd"; did you mean id/,
    ],
    ["cel: a missing field in has", { types: [placed], cel: "has(data.nope)" }, /has no field "nope"/],
    ["cel: a number", { cel: "1 + 1" }, /neither true nor false/],
    ["cel: a field that is a text", { types: [placed], cel: "data.note" }, /neither true nor false/],
    ["cel: an attribute", { cel: "event.source" }, /neither true nor false/],
    ["cel: a list", { cel: "[1].map(x, x)" }, /neither true nor false/],
    ["cel: a choice of texts", { cel: "true ? 'a' : 'b'" }, /neither true nor false/],
    ["cel: too long", { cel: `"${"x".repeat(2_048)}" == event.id` }, /2062 bytes: 2048 are allowed/],
    ["cel: a loop in another", { cel: "[1].all(x, [2].all(y, y > x))" }, /a loop inside another/],
    ["cel: a loop that hides data", { cel: "[1].all(data, true)" }, /cannot name its elements "data"/],
  ];
  for (const [name, given, text] of refused) {
    test(name, async () => {
      const error = await failure(compile(given));
      assert.equal(error.code, Code.InvalidArgument);
      assert.match(error.rawMessage, text);
    });
  }

  const allowed: readonly string[] = [
    "[1, 2].filter(x, x > 1).all(x, x > 1)",
    "[1].exists(x, x == 1) || [2].exists(y, y == 2)",
    "[1].exists_one(x, x > 0)",
    'data.note.matches("^a+$") ? true : event.id in ["1", "2"]',
    "size(data.note) > 2",
    'event["tenant"] == "acme"',
  ];
  for (const cel of allowed) {
    test(`allowed is ${cel}`, async () => {
      await compile({ types: [placed], cel });
    });
  }

  test("a condition is too slow that takes more than 5 ms ten times within a minute", () => {
    const slow = new SlowConditions();
    for (let at = 0; at < 9; at++) assert.equal(slow.took(6, at * 1_000), false);
    assert.equal(slow.took(5, 9_000), false);
    assert.equal(slow.took(6, 61_500), false); // The first two are older than a minute.
    assert.equal(slow.took(6, 61_600), false);
    assert.equal(slow.took(6, 61_700), true);
  });
});
