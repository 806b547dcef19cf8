import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HpackDecoder } from "../../../src/core/http2/hpack/decoder.ts";
import { readIncomingRequest, type IncomingRequest } from "../../../src/core/http2/incoming-request.ts";
import { hpack } from "../../support/http2-frames.ts";

type Fields = readonly (readonly [name: string, value: string])[];

const good: Fields = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/a"],
  [":authority", "here"],
];

function read(fields: Fields, maxListBytes = 1_000): IncomingRequest {
  const block = hpack(fields);
  return readIncomingRequest(new HpackDecoder(maxListBytes), block, 0, block.length);
}

const without = (name: string): Fields => good.filter(([field]) => field !== name);
const withValue = (name: string, value: string): Fields =>
  good.map(([field, before]) => [field, field === name ? value : before] as const);

test("fields are as Node has them: joined, but for those of which only the first counts", () => {
  const { fields, rawFields, contentLength, hasPseudo, fault, tooLarge } = read([
    ...good,
    ["cookie", "a=1"],
    ["cookie", "b=2"],
    ["x-a", "1"],
    ["x-a", "2"],
    ["user-agent", "first"],
    ["user-agent", "second"],
    ["content-length", "12"],
    ["te", "trailers"],
  ]);
  assert.deepEqual(
    { ...fields },
    {
      ...Object.fromEntries(good),
      cookie: "a=1; b=2",
      "x-a": "1, 2",
      "user-agent": "first",
      "content-length": "12",
      te: "trailers",
    },
  );
  assert.equal(rawFields.length, 24);
  assert.deepEqual([contentLength, hasPseudo, fault, tooLarge], [12, true, undefined, false]);
});

describe("a request without a fault", () => {
  const lists: Record<string, Fields> = {
    plain: good,
    "without an authority": without(":authority"),
    "OPTIONS *": [
      [":method", "OPTIONS"],
      [":scheme", "http"],
      [":path", "*"],
    ],
    CONNECT: [
      [":method", "CONNECT"],
      [":authority", "there:1"],
    ],
    "an unusual method": withValue(":method", "x-y"),
    "bytes above ASCII": [...withValue(":path", "/\u00fc"), ["x", "\u00ff\t"]],
    "the same length twice": [...good, ["content-length", "1"], ["content-length", "1"]],
    trailers: [["x-trailer", "1"]],
  };
  for (const [name, list] of Object.entries(lists)) {
    test(name, () => assert.equal(read(list).fault, undefined));
  }
});

describe("a request with a fault", () => {
  const lists: Record<string, Fields> = {
    "no method": without(":method"),
    "a method with a space": withValue(":method", "GE T"),
    "no scheme": without(":scheme"),
    "an empty scheme": withValue(":scheme", ""),
    "no path": without(":path"),
    "an empty path": withValue(":path", ""),
    "a path without a slash": withValue(":path", "a"),
    "a path with a space": withValue(":path", "/a b"),
    "* for a method other than OPTIONS": withValue(":path", "*"),
    "two paths": [...good, [":path", "/b"]],
    ":status": [[":status", "200"], ...good],
    "a pseudo field after others": [["x", "1"], ...good],
    "a pseudo field among others": [...good, ["x", "1"], [":authority", "b"]],
    "CONNECT with a path": [
      [":method", "CONNECT"],
      [":authority", "a"],
      [":path", "/"],
    ],
    "an upper-case name": [...good, ["X", "1"]],
    "an empty name": [...good, ["", "1"]],
    "a name with a space": [...good, ["a b", "1"]],
    connection: [...good, ["connection", "close"]],
    "transfer-encoding": [...good, ["transfer-encoding", "chunked"]],
    "te: gzip": [...good, ["te", "gzip"]],
    "CR in a value": [...good, ["x", "a\rb"]],
    "LF in a value": [...good, ["x", "a\nb"]],
    "NUL in a value": [...good, ["x", "a\0b"]],
    "NUL in the authority": withValue(":authority", "a\0"),
    "two lengths": [...good, ["content-length", "1"], ["content-length", "2"]],
    "a length with a sign": [...good, ["content-length", "+1"]],
    "an empty length": [...good, ["content-length", ""]],
  };
  for (const [name, list] of Object.entries(lists)) {
    test(name, () => assert.equal(typeof read(list).fault, "string"));
  }
});

test("a list above the limit is too large and no request without its path", () => {
  const { tooLarge, fault, hasPseudo } = read([["x", "y".repeat(1_000)], ...good], 500);
  assert.deepEqual([tooLarge, fault, hasPseudo], [true, undefined, false]);
});
