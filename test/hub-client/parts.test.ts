/** The pure parts of the client: waits, positions, event streams. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Backoff } from "../../src/hub-client/backoff.ts";
import { errorOfStatus } from "../../src/hub-client/call/hub-error.ts";
import { isKnown } from "../../src/hub-client/position.ts";
import { SseParser, type SseBlock } from "../../src/hub-client/links/sse-parser.ts";

describe("waits", () => {
  const options = { initialMs: 1_000, maxMs: 30_000 };

  test("double up to their limit, with full jitter", () => {
    const longest = new Backoff(options, () => 1);
    const waits = Array.from({ length: 7 }, () => longest.next());
    assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    longest.reset();
    assert.equal(longest.next(), 1_000);
    assert.equal(new Backoff(options, () => 0).next(), 0);
  });

  test("are no shorter than the server has asked for, and up to half longer", () => {
    assert.equal(new Backoff(options, () => 0).next(5_000), 5_000);
    assert.equal(new Backoff(options, () => 1).next(5_000), 7_500);
  });
});

describe("positions", () => {
  for (const [position, last, known] of [
    ["abcdefgh.5", undefined, false],
    ["abcdefgh.5", "abcdefgh.5", true],
    ["abcdefgh.5", "abcdefgh.4", false],
    ["abcdefgh.5", "abcdefgh.10", true],
    ["abcdefgh.18446744073709551615", "abcdefgh.18446744073709551614", false],
    ["ABCDEFGH.5", "abcdefgh.10", false],
    ["5", "10", false],
    ["5", "5", true],
    ["", "5", false],
    ["x1y2z3:abcdefgh.5~ijklmnop.7", "x1y2z3:abcdefgh.5~ijklmnop.7", true],
    ["x1y2z3:abcdefgh.5~ijklmnop.7", "x1y2z3:abcdefgh.5~ijklmnop.8", false],
  ] as const) {
    test(`${position} behind ${last} is ${known ? "known" : "new"}`, () => {
      assert.equal(isKnown(position, last), known);
    });
  }
});

describe("event streams", () => {
  const none = { data: undefined, event: "message", id: undefined, retry: undefined };
  const cases: readonly (readonly [name: string, text: string, blocks: readonly Partial<SseBlock>[]])[] = [
    ["an event", "data: a\n\n", [{ data: "a" }]],
    ["lines of data", "data: a\ndata:b\ndata\n\n", [{ data: "a\nb\n" }]],
    ["an id alone", ": ping\nid: abc.1\n\n", [{ id: "abc.1" }]],
    ["a time alone", "retry: 1500\n\n", [{ retry: 1500 }]],
    [
      "everything",
      "id: 1\nevent: reset\nretry: 5\ndata: {}\n\n",
      [{ data: "{}", event: "reset", id: "1", retry: 5 }],
    ],
    ["comments", ": open\n\n: ping\n\n", []],
    ["ends of lines", "data: a\r\n\r\ndata: b\r\rdata: c\n\n", [{ data: "a" }, { data: "b" }, { data: "c" }]],
    ["what is unknown", "color: red\nretry: soon\nid: a\0b\ndata: ä😀\n\n", [{ data: "ä😀" }]],
    ["an event that has not ended", "data: a\n\ndata: b\n", [{ data: "a" }]],
  ];
  for (const [name, text, blocks] of cases) {
    for (const size of [1, 3, 1000]) {
      test(`${name}, in pieces of ${size} bytes`, () => {
        const parser = new SseParser();
        const bytes = new TextEncoder().encode(text);
        const found: SseBlock[] = [];
        for (let at = 0; at < bytes.length; at += size)
          found.push(...parser.push(bytes.subarray(at, at + size)));
        assert.deepEqual(
          found,
          blocks.map((block) => ({ ...none, ...block })),
        );
      });
    }
  }
});

test("errors have the reason and the time of their details", () => {
  const error = errorOfStatus({
    code: 8,
    message: "too slow",
    details: [
      { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "SLOW_CONSUMER" },
      { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "1.500s" },
    ],
  });
  assert.equal(error?.reason, "SLOW_CONSUMER");
  assert.equal(error?.retryMs, 1500);
  assert.equal(errorOfStatus({ code: 5 })?.message, "");
  for (const none of [null, [], "x", {}, { code: "5" }]) assert.equal(errorOfStatus(none), undefined);
});
