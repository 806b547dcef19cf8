import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  create,
  createRegistry,
  toBinary,
  toJson,
  type DescMethodUnary,
  type Message,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import { DurationSchema, FieldMaskSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import {
  file_google_protobuf_test_messages_proto3,
  TestAllTypesProto3Schema,
  type TestAllTypesProto3,
} from "../../../gen/google/protobuf/test_messages_proto3_pb.ts";
import { violationsOf } from "../../support/error-details.ts";
import { restTransport } from "../../../src/entries/rest.ts";
import type { RestRule, RestTransportOptions } from "../../../src/entries/rest.ts";
import { messageArbitrary } from "../../arbitraries/message.ts";
import { startGateway, type Gateway } from "../../support/gateway-fixture.ts";
import { mirrorService } from "../../support/mirror-service.ts";

const registry = createRegistry(file_google_protobuf_test_messages_proto3);
const mirror = mirrorService();
const reflect = mirror.method["reflect"] as DescMethodUnary;

/** Every kind of binding, by what it shows. */
const bindings = {
  query: { get: "/query" },
  body: { post: "/body", body: "*" },
  "body field": { put: "/field", body: "optional_nested_message" },
  "repeated body field": { patch: "/list", body: "repeated_nested_message" },
  "map body field": { post: "/map", body: "map_string_nested_message" },
  "scalar body field": { post: "/scalar", body: "optional_string" },
  "path and query": { get: "/p/{optional_string}/i/{optional_int64}/e/{optional_nested_enum}" },
  "nested path": { delete: "/n/{recursive_message.optional_string}/{recursive_message.optional_bool}:verb" },
  "several segments": { get: "/m/{optional_string=a/*/c/**}" },
  "rest of the path": { get: "/r/{optional_string=**}/end" },
  "path and body": { post: "/pb/{optional_string}/{optional_double}", body: "*" },
  "path inside of body": { put: "/in/{recursive_message.optional_string=x/*}", body: "recursive_message" },
  "path of well-known types": {
    get: "/w/{optional_timestamp}/{optional_duration}/{optional_field_mask}/{optional_int64_wrapper}/{optional_bytes}",
  },
  "reply's field": {
    custom: { kind: "REPORT", path: "/reply" },
    body: "*",
    response_body: "recursive_message",
  },
} as const;
type Name = keyof typeof bindings;

let gateway: Gateway;
let received: Message | undefined;
const routes: string[] = [];

before(async () => {
  const [first, ...others] = Object.values(bindings);
  const rule = { selector: "mirror.Mirror.Reflect", ...first, additional_bindings: others };
  const text = JSON.stringify({ type: "google.api.Service", http: { rules: [rule] } });
  const handler = (message: Message): Message => (received = message);
  gateway = await startGateway(
    {
      registry,
      unknownQuery: "reject",
      rules: [{ file: "rules.json", text }],
      httpObservers: [{ httpRequest: (route) => void routes.push(route) }],
    },
    [{ descriptor: mirror, ...{ reflect: handler } }],
  );
});
after(() => gateway[Symbol.asyncDispose]());

function transport(name: Name, options: Partial<RestTransportOptions> = {}) {
  const rule = { selector: "mirror.Mirror/Reflect", ...bindings[name] } as RestRule;
  return restTransport({ baseUrl: gateway.url, rules: [rule], registry, maxUrlBytes: 16_000, ...options });
}

/** Sends a message; gives what arrived, and the route that it took. */
async function send(name: Name, init: object, options?: Partial<RestTransportOptions>) {
  received = undefined;
  const message = create(TestAllTypesProto3Schema, init);
  const response = await transport(name, options).unary(reflect, undefined, undefined, undefined, message);
  assert.ok(received);
  const arrived = received as TestAllTypesProto3; // By its rpc.
  return { arrived, reply: response.message, route: routes.at(-1) };
}

/** Fails unless two messages are equal on the wire, where floats have 32 bits and NaN is NaN. */
function assertSame(actual: Message, expected: Message): void {
  const [a, b] = [actual, expected].map((message) =>
    toBinary(TestAllTypesProto3Schema, message as TestAllTypesProto3),
  );
  if (Buffer.from(a ?? []).equals(b ?? new Uint8Array())) return;
  // JSON.stringify has no -0, in which the JSON of protobuf-es is written.
  const [c, d] = [actual, expected].map((message) =>
    JSON.stringify(toJson(TestAllTypesProto3Schema, message as TestAllTypesProto3, { registry })),
  );
  assert.deepEqual(JSON.parse(c ?? ""), JSON.parse(d ?? ""));
}

const messages = messageArbitrary(TestAllTypesProto3Schema, {
  anyTypes: [TestAllTypesProto3Schema],
  maxFields: 5,
}) as fc.Arbitrary<TestAllTypesProto3>; // The type that its schema describes.

describe("random messages arrive whole by every kind of binding, or are refused by name", () => {
  for (const name of Object.keys(bindings) as Name[]) {
    test(name, async () => {
      let arrivals = 0;
      const property = fc.asyncProperty(messages, fc.boolean(), async (message, withPath) => {
        if (withPath) addPathValues(message);
        try {
          const { arrived, reply, route } = await send(name, message);
          arrivals++;
          assertSame(arrived, message);
          if (name !== "reply's field") assertSame(reply, message);
          assert.notEqual(route, "/mirror.Mirror/Reflect");
        } catch (error) {
          if (!(error instanceof ConnectError)) throw error;
          assert.equal(error.code, Code.InvalidArgument, error.message);
          const [bad] = violationsOf(error);
          assert.ok(bad, error.message);
          assert.equal(received, undefined, `the gateway refused: ${error.message}`);
        }
      });
      await fc.assert(property, { numRuns: 60 });
      assert.ok(arrivals > 0);
    });
  }
});

describe("-0 is no default: it keeps its sign, and its field is set", () => {
  const inits = {
    "fields without presence": { optionalDouble: -0, optionalFloat: -0 },
    "in a message": { recursiveMessage: { optionalString: "x/y", optionalDouble: -0 } },
    "lists, a oneof and wrappers": {
      repeatedDouble: [-0, 1],
      packedFloat: [-0],
      oneofField: { case: "oneofDouble", value: -0 },
      optionalDoubleWrapper: -0,
    },
  };
  for (const name of Object.keys(bindings) as Name[]) {
    for (const [what, init] of Object.entries(inits)) {
      test(`${name}: ${what}`, async () => {
        const message = create(
          TestAllTypesProto3Schema,
          init as MessageInitShape<typeof TestAllTypesProto3Schema>,
        );
        addPathValues(message);
        try {
          const { arrived } = await send(name, message);
          const [there, sent] = [arrived, message].map((one) => toBinary(TestAllTypesProto3Schema, one));
          assert.deepEqual(there, sent);
        } catch (error) {
          // Some bindings have no place for the rest of the message.
          if (!(error instanceof ConnectError)) throw error;
          assert.equal(error.code, Code.InvalidArgument, error.message);
        }
      });
    }
  }
});

/** Values for the variables of the bindings above. */
function addPathValues(message: TestAllTypesProto3): void {
  message.optionalTimestamp ??= create(TimestampSchema, { seconds: 1n, nanos: 500_000_000 });
  message.optionalDuration ??= create(DurationSchema, { seconds: -3n });
  message.optionalFieldMask ??= create(FieldMaskSchema, { paths: ["a_b.c", "d"] });
  message.optionalInt64Wrapper ??= 0n;
  if (message.optionalBytes.length === 0) message.optionalBytes = Uint8Array.of(0xfb, 0xff, 0xfe);
  if (message.optionalString === "") message.optionalString = "a/b/c/d";
  message.recursiveMessage ??= create(TestAllTypesProto3Schema);
  if (message.recursiveMessage.optionalString === "") message.recursiveMessage.optionalString = "x/y";
}

test("what fits no binding goes by the path of the rpc with fallback", async () => {
  const init = { repeatedNestedMessage: [{ a: 1 }, {}] };
  await assert.rejects(send("query", init), (error: ConnectError) => {
    assert.equal(error.code, Code.InvalidArgument);
    assert.deepEqual(violationsOf(error), [
      { field: "repeated_nested_message", description: "a list of messages can not be written in a query" },
    ]);
    return true;
  });
  const { arrived, route } = await send("query", init, { fallback: "rpc-path" });
  assert.equal(route, "/mirror.Mirror/Reflect");
  assertSame(arrived, create(TestAllTypesProto3Schema, init));
});

describe("K18: odd values of path variables", () => {
  const values = {
    dots: "..",
    "one dot": ".",
    "dots inside": "a/../b",
    "dots at the end": "a/..",
    "encoded dots": "%2e%2e",
    "half encoded dots": ".%2E",
    "three dots": "...",
    empty: "",
    question: "a?b=c",
    fragment: "a#b",
    percent: "100%",
    escape: "a%2Fb",
    "lower escape": "a%2fb",
    NUL: "a\0b",
    "line break": "a\r\nb\tc",
    "back slash": "a\\b",
    "back slash and dots": "a\\..\\b",
    slash: "a/b",
    slashes: "a//b",
    "first slash": "/a",
    "last slash": "a/",
    colon: "a:verb",
    space: " a ",
    plus: "a+b&c=d;e",
    "sub-delims": "!$&'()*+,;=:@-._~",
    unicode: "käse/😀\u2028",
    surrogate: "a\ud800b",
    long: "x".repeat(9 * 1024),
  } as const;
  const refused: ReadonlySet<string> = new Set([
    ...["dots", "one dot", "dots inside", "dots at the end", "back slash and dots"],
    ...["empty", "NUL", "surrogate", "long"],
  ]);
  const placed: Readonly<Record<string, (value: string) => string>> = {
    "path and query": (value) => value,
    "rest of the path": (value) => value,
    "several segments": (value) => `a/b/c/${value}`,
  };
  for (const [binding, place] of Object.entries(placed)) {
    for (const [what, value] of Object.entries(values)) {
      test(`${binding}: ${what}`, async () => {
        const optionalString = place(value);
        try {
          const { arrived } = await send(binding as Name, { optionalString }, { maxUrlBytes: 8_000 });
          assert.equal(arrived.optionalString, optionalString);
        } catch (error) {
          if (!(error instanceof ConnectError)) throw error;
          assert.equal(received, undefined);
          assert.equal(error.code, Code.InvalidArgument);
          assert.equal(violationsOf(error)[0]?.field, "optional_string", error.message);
          assert.ok(refused.has(what), error.message);
          return;
        }
        // A `**` may end with an empty segment.
        assert.ok(!refused.has(what) || (what === "empty" && binding === "several segments"));
      });
    }
  }
});
