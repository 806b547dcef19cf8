import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { after, before, suite, test } from "node:test";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { EchoRequestSchema, EchoResponseSchema } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { bodyFormat } from "../../../src/gateway/http/media-type.ts";
import {
  connectTo,
  exchangeBytes,
  type Gateway,
  readUntil,
  startGateway,
  statusOf,
} from "../../support/gateway-fixture.ts";

const json = { "content-type": "application/json" };
const mebibyte = 1024 * 1024;

/** A POST to the echo; fetch would add a content type of its own and refuse malformed ones. */
function send(
  gateway: Gateway,
  headers: Record<string, string>,
  body: Uint8Array | string,
  path = "/test/v1/echo",
): Promise<{ status: number; type: string; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(gateway.url + path, { method: "POST", headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        const type = response.headers["content-type"] ?? "";
        resolve({ status: response.statusCode ?? 0, type, body: Buffer.concat(chunks) });
      });
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

function textOf(body: Buffer): unknown {
  return (JSON.parse(body.toString()) as { text?: unknown }).text; // The echo's reply.
}

suite("request bodies", () => {
  let gateway: Gateway;
  before(async () => {
    gateway = await startGateway();
  });
  after(() => gateway[Symbol.asyncDispose]());

  const accepted = [
    "application/json",
    "application/json; charset=utf-8",
    'application/json;charset="UTF-8"',
    "Application/JSON",
    "text/json",
    "application/merge-patch+json",
    "application/vnd.api+json; version=1",
  ];
  for (const type of accepted) {
    test(`content type ${type} is JSON`, async () => {
      const { status, body } = await send(gateway, { "content-type": type }, '{"text":"a"}');
      assert.equal(status, 200);
      assert.equal(textOf(body), "a");
    });
  }

  const refused = [
    "application/json\t; charset=utf-8",
    "application/json\ta",
    ";",
    "application/json;",
    "application/json; charset=latin1",
    "application/json; charset=utf-16",
    "application/jsonx",
    "application/x-www-form-urlencoded",
    "multipart/mixed; boundary=x",
    "text/plain",
    "text/plain; application/json",
    "json",
    "",
  ];
  for (const type of refused) {
    test(`T20: content type ${JSON.stringify(type)} is 415 and reaches no handler`, async () => {
      const { calls } = gateway.echo;
      const { status, body } = await send(gateway, { "content-type": type }, '{"text":"a"}');
      assert.equal(status, 415);
      assert.equal((JSON.parse(body.toString()) as { code: number }).code, 3);
      assert.equal(gateway.echo.calls, calls);
      await gateway.stillServes();
    });
  }

  test("T20: a body without a content type is 415, with and without a length", async () => {
    const { calls } = gateway.echo;
    for (const headers of [{ "content-length": "12" }, { "transfer-encoding": "chunked" }]) {
      assert.equal((await send(gateway, headers, '{"text":"a"}')).status, 415);
    }
    assert.equal(gateway.echo.calls, calls);
    await gateway.stillServes();
  });

  test("T03: an empty body is the empty message, whatever its type", async () => {
    for (const headers of [
      { "content-length": "0" },
      { "transfer-encoding": "chunked" },
      { "content-length": "0", ...json },
      { "content-length": "0", "content-type": "application/x-www-form-urlencoded" },
      { "transfer-encoding": "chunked", ...json },
    ]) {
      const { status, body } = await send(gateway, headers, "");
      assert.equal(status, 200, JSON.stringify(headers));
      assert.equal(textOf(body), "");
    }
  });

  const malformed: readonly (readonly [id: string, body: string | Uint8Array])[] = [
    ["T02: {", "{"],
    ["T02: trailing bytes", "{} x"],
    ["T02: an array", "[]"],
    ["T02: null", "null"],
    ["T02: white space only", " "],
    ["T06: a duplicate key", '{"text":"a","text":"b"}'],
    ["T08: invalid UTF-8", Buffer.from([...Buffer.from('{"text":"'), 0xff, ...Buffer.from('"}')])],
    ["T08: overlong UTF-8", Buffer.from([...Buffer.from('{"text":"'), 0xc0, 0xaf, ...Buffer.from('"}')])],
    ["T09: a lone surrogate", '{"text":"\\ud800"}'],
    ["T04: a wrong type", '{"number":{}}'],
    ["T04: a number out of range", '{"number":9223372036854775808}'],
    ["a JSON of 101 levels", `${'{"x":'.repeat(101)}1${"}".repeat(101)}`],
  ];
  for (const [name, body] of malformed) {
    test(`${name} is 400`, async () => {
      const { calls } = gateway.echo;
      const { status, body: reply } = await send(gateway, json, body);
      assert.equal(status, 400);
      assert.equal((JSON.parse(reply.toString()) as { code: number }).code, 3);
      assert.equal(gateway.echo.calls, calls);
      await gateway.stillServes();
    });
  }

  test("T10: a byte order mark is skipped", async () => {
    const { status, body } = await send(gateway, json, '\ufeff{"text":"a"}');
    assert.equal(status, 200);
    assert.equal(textOf(body), "a");
  });

  test("T12: keys of prototypes change nothing", async () => {
    const body = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"text":"a"}';
    assert.equal((await send(gateway, json, body)).status, 200);
    assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  });

  test("H17: a chunked body is refused where it crosses the limit", async () => {
    const socket = await connectTo(gateway.port);
    socket.write(
      "POST /test/v1/echo HTTP/1.1\r\nHost: ok\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    const answer = readUntil(socket, (text) => text.includes("\r\n\r\n"));
    socket.write(`${(4 * mebibyte).toString(16)}\r\n${"a".repeat(4 * mebibyte)}\r\n`);
    socket.write("1\r\na\r\n"); // The body never ends: the refusal cannot have waited for it.
    assert.equal(statusOf(await answer), 413);
    await gateway.stillServes();
  });

  test("a length over the limit is refused at once, and at the limit served", async () => {
    const announced = `POST /test/v1/echo HTTP/1.1\r\nHost: ok\r\nContent-Type: application/json\r\nContent-Length: ${4 * mebibyte + 1}\r\n\r\n`;
    assert.equal(
      statusOf(await exchangeBytes(gateway.port, announced, (text) => text.includes("\r\n\r\n"))),
      413,
    );
    const frame = '{"text":""}'.length;
    const most = await send(gateway, json, `{"text":"${"a".repeat(4 * mebibyte - frame)}"}`);
    assert.equal(most.status, 200);
    const over = await send(gateway, json, `{"text":"${"a".repeat(4 * mebibyte - frame + 1)}"}`);
    assert.equal(over.status, 413);
    assert.equal((JSON.parse(over.body.toString()) as { code: number }).code, 8);
    await gateway.stillServes();
  });

  const codings = {
    gzip: (text: string) => gzipSync(text),
    deflate: (text: string) => deflateSync(text),
    br: (text: string) => brotliCompressSync(text),
    zstd: (text: string) => zstdCompressSync(text),
  };
  for (const [coding, compress] of Object.entries(codings)) {
    const headers = { ...json, "content-encoding": coding };

    test(`a body in ${coding} is read`, async () => {
      const { status, body } = await send(gateway, headers, compress('{"text":"a"}'));
      assert.equal(status, 200);
      assert.equal(textOf(body), "a");
    });

    test(`H29: corrupt and cut ${coding} is 400`, async () => {
      const bytes = compress(`{"text":"${"ab".repeat(1000)}"}`);
      assert.equal((await send(gateway, headers, bytes.subarray(0, -6))).status, 400);
      assert.equal((await send(gateway, headers, Buffer.from("this is not compressed"))).status, 400);
      await gateway.stillServes();
    });

    test(`H29: ${coding} that inflates to 64 MiB is 413, with less than twice the limit inflated`, async () => {
      const bomb = compress(" ".repeat(64 * mebibyte));
      assert.ok(bomb.length < 128 * 1024);
      const before = process.memoryUsage().arrayBuffers;
      let most = before;
      const sampler = setInterval(() => (most = Math.max(most, process.memoryUsage().arrayBuffers)), 1);
      const { status } = await send(gateway, headers, bomb);
      clearInterval(sampler);
      assert.equal(status, 413);
      assert.ok(most - before < 16 * mebibyte, `${most - before} bytes more`);
      await gateway.stillServes();
    });
  }

  test("H29: an unknown content encoding is 415 and says what is known", async () => {
    const { calls } = gateway.echo;
    const response = await fetch(`${gateway.url}/test/v1/echo`, {
      method: "POST",
      headers: { ...json, "content-encoding": "foo" },
      body: "{}",
    });
    assert.equal(response.status, 415);
    assert.equal(response.headers.get("accept-encoding"), "gzip, deflate, br, zstd, identity");
    await response.arrayBuffer();
    assert.equal(gateway.echo.calls, calls);
    await gateway.stillServes();
  });

  test("binary bodies are read and answered in kind, or as Accept says", async () => {
    const bytes = toBinary(EchoRequestSchema, create(EchoRequestSchema, { text: "a", number: 5n }));
    const type = { "content-type": "application/x-protobuf" };
    const same = await send(gateway, type, bytes);
    assert.equal(same.type, "application/x-protobuf");
    assert.equal(fromBinary(EchoResponseSchema, same.body).text, "a");
    const asked = await send(gateway, { ...type, accept: "application/json" }, bytes);
    assert.equal(asked.type, "application/json");
    assert.equal(textOf(asked.body), "a");
    const wanted = await send(gateway, { ...json, accept: "application/proto" }, '{"text":"b"}');
    assert.equal(wanted.type, "application/proto");
    assert.equal(fromBinary(EchoResponseSchema, wanted.body).text, "b");
    const broken = await send(gateway, type, Buffer.from([0xff]));
    assert.equal(broken.status, 400);
    assert.equal(broken.type, "application/json");
    await gateway.stillServes();
  });

  for (const [accept, type] of [
    ["*/*", "application/json"],
    ["text/html", "application/json"],
    ["application/json, application/proto", "application/json"],
    ["application/json;q=0.5, application/proto", "application/proto"],
    ["application/proto;q=0.1, */*", "application/json"],
    ["application/proto;q=0", "application/json"],
    ["application/x-protobuf", "application/x-protobuf"],
  ] as const) {
    test(`Accept: ${accept} gets ${type}`, async () => {
      assert.equal((await send(gateway, { ...json, accept }, "{}")).type, type);
    });
  }

  test("a body where the rule has none is not read", async () => {
    const response = await exchangeBytes(
      gateway.port,
      "GET /test/v1/echo/a HTTP/1.1\r\nHost: ok\r\nContent-Length: 3\r\nConnection: close\r\n\r\n{}x",
    );
    assert.equal(statusOf(response), 200);
  });
});

test("T20: lenient, any body is read as JSON", async () => {
  await using gateway = await startGateway({ contentType: "lenient" });
  for (const type of ["text/plain", "application/json\ta", ";", "", "application/x-www-form-urlencoded"]) {
    const { status, body } = await send(gateway, { "content-type": type }, '{"text":"a"}');
    assert.equal(status, 200, type);
    assert.equal(textOf(body), "a");
  }
});

test("a body where the rule has none is 400 when asked for", async () => {
  await using gateway = await startGateway({ unexpectedBody: "reject" });
  const answer = await exchangeBytes(
    gateway.port,
    "GET /test/v1/echo/a HTTP/1.1\r\nHost: ok\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
  );
  assert.equal(statusOf(answer), 400);
  await gateway.stillServes();
});

test("H13: a body that does not arrive in time is 408", async () => {
  await using gateway = await startGateway({ bodyTimeoutMs: 200, connectionsCheckingIntervalMs: 50 });
  const socket = await connectTo(gateway.port);
  socket.write(
    "POST /test/v1/echo HTTP/1.1\r\nHost: ok\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
  );
  const drip = setInterval(() => socket.write(" "), 50);
  const answer = await readUntil(socket, () => false);
  clearInterval(drip);
  assert.equal(statusOf(answer), 408);
  assert.match(answer, /connection: close/i);
  await gateway.stillServes();
});

test("a client that goes on sending a refused body loses its connection", async () => {
  await using gateway = await startGateway({ lingerMs: 100 });
  const socket = await connectTo(gateway.port);
  socket.write("POST /nowhere HTTP/1.1\r\nHost: ok\r\nContent-Length: 100000\r\n\r\n");
  const drip = setInterval(() => socket.write(" "), 20);
  const answer = await readUntil(socket, () => false);
  clearInterval(drip);
  assert.equal(statusOf(answer), 404);
  await gateway.stillServes();
});

test("the table of content types", () => {
  assert.equal(bodyFormat("application/proto"), "binary");
  assert.equal(bodyFormat("application/x-protobuf; messageType=x.Y"), "binary");
  assert.equal(bodyFormat(undefined), undefined);
  assert.equal(bodyFormat("application/json; charset=utf-8; charset=latin1"), undefined);
});
