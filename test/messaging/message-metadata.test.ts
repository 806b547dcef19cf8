import { strict as assert } from "node:assert";
import { test } from "node:test";
import { SetupError } from "../../src/core/errors/setup-error.ts";
import type { CloudEvent } from "../../src/messaging/cloud-event.ts";
import { expiresAtMs, expiryOf } from "../../src/messaging/expiry.ts";
import { headerBytes, MessageMetadata, whyNoHeader } from "../../src/messaging/message-metadata.ts";

const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

const metadata: readonly [name: string, headers: Record<string, string>, metadata: Record<string, string>][] =
  [
    [
      "those of the list",
      {
        "accept-language": "de",
        "x-request-id": "1",
        "idempotency-key": "k",
        "if-match": "*",
        "last-event-id": "5",
      },
      {
        "accept-language": "de",
        "x-request-id": "1",
        "idempotency-key": "k",
        "if-match": "*",
        "last-event-id": "5",
      },
    ],
    [
      "those of the option",
      { "x-tenant": "t", authorization: "Bearer a" },
      { "x-tenant": "t", authorization: "Bearer a" },
    ],
    [
      "no others",
      { "x-other": "o", cookie: "a=b", origin: "http://a", "x-ts-ms-attempt": "2", "content-type": "a" },
      {},
    ],
    [
      "no identity and no protocol",
      { "x-user-id": "1", "x-auth-user": "1", "grpc-timeout": "1S", host: "a" },
      {},
    ],
    ["no control characters", { "x-tenant": "a\nb", "accept-language": "ü" }, {}],
    ["a trace", { traceparent: trace, tracestate: "a=1" }, { traceparent: trace, tracestate: "a=1" }],
    ["a bad traceparent begins a new trace", { traceparent: "00-0-0-01", tracestate: "a=1" }, {}],
  ];

for (const [name, headers, expected] of metadata) {
  test(`9 headers that become metadata: ${name}`, () => {
    const of = new MessageMetadata("MessageServer", ["X-Tenant", "authorization"]).of(
      new Map(Object.entries(headers)),
    );
    assert.deepEqual(Object.fromEntries(of), expected);
  });
}

test("9 authorization becomes metadata only where it is listed", () => {
  const of = new MessageMetadata("MessageServer", []).of(new Map([["authorization", "Bearer a"]]));
  assert.deepEqual([...of], []);
});

for (const name of [
  "a b",
  "",
  "x-ts-ms-attempt",
  "ce_id",
  "cloudevents:id",
  "te",
  "content-type",
  "x-client-cert",
]) {
  test(`9 no header of users: ${JSON.stringify(name)}`, () => {
    assert.ok(whyNoHeader(name));
    assert.throws(
      () => new MessageMetadata("MessageServer", [name.toUpperCase()]),
      (error) =>
        error instanceof SetupError &&
        error.message.startsWith(`MessageServer: forwardHeaders cannot have ${JSON.stringify(name)}: it `),
    );
  });
}

test("headers of a call go into messages, and never replace what is there", () => {
  const into = new Map([["x-tenant", "mine"]]);
  const headers = new Headers({
    "x-tenant": "t",
    "x-other": "o",
    "idempotency-key": "k",
    authorization: "a",
  });
  new MessageMetadata("dial", ["x-tenant"]).add(headers, into);
  assert.deepEqual(Object.fromEntries(into), { "x-tenant": "mine", "idempotency-key": "k" });
});

test("the size of headers is that of their names and values", () => {
  assert.equal(
    headerBytes({
      headers: [
        ["ab", "ü"],
        ["c", Buffer.alloc(5)],
        ["d", 7],
        ["e", { a: 1 }],
      ],
    }),
    28,
  );
});

function expiring(extensions: Record<string, string>): CloudEvent {
  return {
    id: "1",
    source: "/a",
    type: "a",
    subject: undefined,
    timeMs: undefined,
    extensions: new Map(Object.entries(extensions)),
  };
}

const expiries: readonly [
  event: CloudEvent | undefined,
  byBroker: number | undefined,
  at: number | undefined,
][] = [
  [undefined, undefined, undefined],
  [undefined, 5, 5],
  [expiring({}), undefined, undefined],
  [expiring({ expirytime: expiryOf(7_000) }), undefined, 7_000],
  [expiring({ expirytime: "1970-01-01T01:00:07+01:00" }), 9_000, 7_000],
  [expiring({ expirytime: expiryOf(7_000) }), 5_000, 5_000],
  [expiring({ expirytime: "soon" }), undefined, undefined],
  [expiring({ expirytime: "soon" }), 5, 5],
];

for (const [event, byBroker, at] of expiries) {
  const expirytime = event?.extensions.get("expirytime");
  test(`10 with expirytime ${expirytime} and ${byBroker} of the broker a message expires at ${at}`, () => {
    assert.equal(expiresAtMs(event, { expiresAtMs: byBroker }), at);
  });
}
