import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Code } from "../../../src/core/errors/errors.ts";
import type { OutgoingMessage } from "../../../src/messaging/broker.ts";
import { messageOf, type OutboxRow, rowOf } from "../../../src/outbox/outbox-row.ts";
import { isCallError } from "../../support/inbox-calls.ts";
import { eventMessage } from "../../support/outbox-messages.ts";

const base = eventMessage("1");
const { event } = base;
assert.ok(event);

const messages: Record<string, OutgoingMessage> = {
  "an event": base,
  "a command with a key, headers and attributes": {
    ...base,
    to: { kind: "topic", topic: "shop.v1.StockService" },
    event: {
      ...event,
      subject: "A1",
      timeMs: undefined,
      extensions: new Map([
        ["partitionkey", "A1"],
        ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
      ]),
    },
    key: "A1",
    headers: new Map([
      ["x-tenant", "Ä"],
      ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"],
    ]),
    contentEncoding: "gzip",
    mandatory: true,
  },
  "a message of defaults, which is no tombstone": { ...base, body: new Uint8Array(0) },
  "a tombstone": { ...base, body: undefined, contentType: undefined },
};

describe("rows of the outbox", () => {
  for (const [name, message] of Object.entries(messages)) {
    test(`${name} comes back as it was`, () => {
      assert.deepEqual(messageOf({ ...rowOf(message), seq: 1n, ageMs: 0 }), message);
    });
  }

  test("a row of another program needs source, and the columns", () => {
    const row: OutboxRow = {
      ...{ seq: 1n, ageMs: 0, id: "7", topic: "orders", key: null, type: "shop.v1.OrderPlaced" },
      headers: '{"CE_Source":"/erp","ce_id":"other","Content-Type":"application/json"}',
      body: new Uint8Array([0x7b, 0x7d]),
    };
    const message = messageOf(row);
    assert.deepEqual(
      [message.event?.id, message.event?.source, message.contentType],
      ["7", "/erp", "application/json"],
    );
    const bad = {
      "{}": /not source/,
      "[]": /no JSON object/,
      null: /no JSON object/,
      "{": /no JSON/,
      '{"ce_source":1}': /its header ce_source is no text/,
      '{"ce_source":"/a","ce_specversion":"0.3"}': /specversion/,
    };
    for (const [headers, text] of Object.entries(bad)) {
      assert.throws(() => messageOf({ ...row, headers }), isCallError(Code.InvalidArgument, text));
    }
  });

  test("queues of groups and messages without attributes are refused", () => {
    const queue = { kind: "queue", topic: "orders", group: "mail", queue: { kind: "dead" } } as const;
    for (const bad of [
      { ...base, to: queue },
      { ...base, event: undefined },
    ]) {
      assert.throws(() => rowOf(bad), isCallError(Code.InvalidArgument, /events and commands only/));
    }
  });
});
