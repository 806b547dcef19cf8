import { strict as assert } from "node:assert";
import { test } from "node:test";
import { addField, addFields, fromHttp2Headers } from "../../../src/core/grpc/metadata.ts";
import { maxMessageBytes, toStatusMessage } from "../../../src/core/errors/status-message.ts";
import { MessageDecoder } from "../../../src/core/grpc/server/request-messages.ts";
import { withPrefix } from "../../../src/core/wire/message-prefix.ts";
import { MessageReader } from "../../../src/core/wire/message-reader.ts";
import { parseTimeout } from "../../../src/core/wire/grpc-timeout.ts";
import { isReservedHeader } from "../../../src/core/metadata/reserved-headers.ts";

test("G14: grpc-timeout", () => {
  const good: Record<string, number> = {
    "0S": 0,
    "1H": 3_600_000,
    "2M": 120_000,
    "3S": 3000,
    "4m": 4,
    "5u": 0.005,
    "1000000n": 1,
    "99999999H": 99_999_999 * 3_600_000,
    "00000001m": 1,
  };
  for (const [text, milliseconds] of Object.entries(good)) {
    const parsed = parseTimeout(text) ?? NaN;
    assert.ok(Math.abs(parsed - milliseconds) < 1e-9, `${text}: ${parsed}`);
  }
  for (const text of [
    "",
    "1",
    "S",
    "-1S",
    "+1S",
    "1.5S",
    "1s",
    "1h",
    " 1S",
    "1S ",
    "1 S",
    "123456789S",
    "1SS",
    "1S\n",
  ]) {
    assert.equal(parseTimeout(text), undefined, JSON.stringify(text));
  }
});

test("T24: status messages are well-formed and at most 4 KiB after encoding", () => {
  assert.equal(toStatusMessage("plain"), "plain");
  assert.equal(toStatusMessage("\ud800"), "\ufffd");
  for (const text of [
    "a".repeat(5000),
    "é".repeat(3000),
    "😀".repeat(2000),
    "%".repeat(5000),
    "x😀".repeat(900),
  ]) {
    const cut = toStatusMessage(text);
    assert.ok(text.startsWith(cut));
    const { length } = encodeURI(cut);
    assert.ok(length <= maxMessageBytes && length > maxMessageBytes - 12, `${length}`);
  }
});

test("G20, G29: reserved names", () => {
  const reserved = [
    ":path",
    "grpc-status",
    "grpc-encoding-internal",
    "content-type",
    "content-length",
    "te",
    "host",
    "connection",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
    "proxy-connection",
    "http2-settings",
    "trailer",
  ];
  for (const name of reserved) assert.ok(isReservedHeader(name), name);
  for (const name of [
    "grpc",
    "x-grpc-status",
    "contents",
    "tea",
    "hosts",
    "authorization",
    "user-agent",
    "",
  ]) {
    assert.ok(!isReservedHeader(name), name);
  }
});

test("G19: metadata goes both ways, binary values as base64 without padding", () => {
  const headers = fromHttp2Headers({
    ":path": "/x",
    te: "trailers",
    "content-type": "application/grpc",
    "grpc-accept-encoding": "gzip",
    "user-agent": "u",
    "x-a": "1, 2",
    "x-bin": "/w==, AQI=",
    cookie: "c",
  });
  assert.deepEqual(
    [...headers],
    [
      ["cookie", "c"],
      ["user-agent", "u"],
      ["x-a", "1, 2"],
      ["x-bin", "/w, AQI"],
    ],
  );
  const padded = new Headers({ "x-a": "1, 2", "x-bin": "/w==, AQI=" });
  assert.deepEqual(addFields([], padded), ["x-a", "1, 2", "x-bin", "/w", "x-bin", "AQI"]);
  const fields = ["te", "trailers"];
  for (const [name, value] of headers) addField(fields, name, value);
  const unwritable = { "x-ä": "1", "x-text": "ä", "y-bin": "/w, %, AQI", "grpc-status": "0" };
  for (const [name, value] of Object.entries(unwritable)) addField(fields, name, value);
  assert.deepEqual(fields, [
    ...["te", "trailers", "cookie", "c", "user-agent", "u", "x-a", "1, 2", "x-bin", "/w", "x-bin", "AQI"],
    ...["y-bin", "/w", "y-bin", "AQI"],
  ]);
});

test("G09: the reader of messages sees borders wherever the chunks are cut", () => {
  const messages = [Buffer.from([7, 7]), Buffer.alloc(0), Buffer.alloc(256, 9)];
  const bytes = Buffer.concat(messages.map((message, index) => withPrefix(message, index === 1 ? 1 : 0)));
  const borders = new Set([0, 7, 12, bytes.length]);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const seen: (readonly [number, Buffer])[] = [];
    const reader = new MessageReader(
      { message: (flags, message) => seen.push([flags, message]) },
      256,
      "request",
    );
    reader.add(bytes.subarray(0, cut));
    assert.equal(reader.partial, !borders.has(cut), `cut at ${cut}`);
    reader.add(bytes.subarray(cut));
    assert.equal(reader.partial, false);
    assert.deepEqual(
      seen,
      messages.map((message, index) => [index === 1 ? 1 : 0, message]),
    );
  }
});

test("G09: compressed messages need an encoding", () => {
  const decoder = (headers: Record<string, string>): MessageDecoder =>
    new MessageDecoder(headers, () => assert.fail("decoded"), 10);
  assert.throws(() => decoder({}).check(1), /without a grpc-encoding/);
  assert.throws(() => decoder({ "grpc-encoding": "identity" }).check(1), /without a grpc-encoding/);
  decoder({ "grpc-encoding": "gzip" }).check(1);
  decoder({}).check(0);
});
