import assert from "node:assert/strict";
import { createServer, type IncomingMessage } from "node:http";
import { Duplex } from "node:stream";
import { suite, test } from "node:test";
import * as fc from "fast-check";
import { headFormLimits } from "../../../../src/gateway/connections/http1/head-form.ts";
import { type FastHead, HeadReader } from "../../../../src/gateway/connections/http1/head-reader.ts";

/** A head with these lines, which end with CRLF and an empty line. */
function headOf(...lines: readonly string[]): Buffer {
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
}

function read(bytes: Buffer, limits = headFormLimits): FastHead | undefined {
  return new HeadReader(limits).read(bytes, 0);
}

function begins(bytes: Buffer, limits = headFormLimits): boolean {
  return new HeadReader(limits).begins(bytes, 0);
}

/** What Node's parser makes of requests without bodies that it gets one behind the other. */
function readByNode(heads: readonly Buffer[]): Promise<readonly IncomingMessage[]> {
  const requests: IncomingMessage[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<readonly IncomingMessage[]>();
  const server = createServer({ requireHostHeader: false }, (request) => {
    requests.push(request.resume());
    if (requests.length === heads.length) resolve(requests);
  });
  server.maxHeadersCount = 0;
  server.on("clientError", (error) => {
    const at = heads[requests.length]?.toString("latin1");
    reject(new Error(`Node refuses what the reader takes: ${JSON.stringify(at)}`, { cause: error }));
  });
  const connection = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  server.emit("connection", connection);
  for (const head of heads) connection.push(head);
  return promise;
}

async function assertAsNode(heads: readonly Buffer[]): Promise<void> {
  const read = heads.map((bytes) => new HeadReader(headFormLimits).read(bytes, 0));
  const requests = await readByNode(heads);
  for (const [index, head] of read.entries()) {
    const request = requests[index];
    assert.ok(head !== undefined && request !== undefined);
    const { method, url, headers, httpVersion } = request;
    assert.deepEqual(
      { method: head.method, url: head.url, headers: { ...head.headers }, httpVersion: head.httpVersion },
      { method, url, headers: { ...headers }, httpVersion },
    );
  }
}

const usual = headOf("GET /v1/a?b=c HTTP/1.1", "Host: x");

suite("the head of a request of the fast lane", () => {
  test("is read with its fields", () => {
    const head = read(
      headOf(
        "POST /v1/books?x=%20 HTTP/1.1",
        "HOST:  example.com:80\t ",
        "Content-Type: application/json",
        "content-length: 0012",
        "Cookie: a=1",
        "cookie: b=2",
        "X-One: 1",
        "x-one:",
        "Content-Type: text/plain",
        "set-cookie: c",
        "x-bytes: \u00e9",
      ),
    );
    assert.deepEqual(Object.fromEntries(Object.entries(head ?? {})), {
      method: "POST",
      record: undefined,
      requestId: undefined,
      url: "/v1/books?x=%20",
      httpVersion: "1.1",
      httpVersionMajor: 1,
      headers: {
        host: "example.com:80",
        "content-type": "application/json",
        "content-length": "0012",
        cookie: "a=1; b=2",
        "x-one": "1, ",
        "set-cookie": ["c"],
        "x-bytes": "\u00e9",
      },
      contentLength: 12,
      keepAlive: true,
      end: head?.end,
    });
  });

  test("says whether the connection is kept", () => {
    for (const [value, kept] of [
      ["keep-alive", true],
      ["Keep-Alive", true],
      ["close", false],
      [" CLOSE ", false],
    ] as const) {
      assert.equal(read(headOf("GET / HTTP/1.1", "Host: x", `Connection:${value}`))?.keepAlive, kept, value);
    }
  });

  test("begins and ends anywhere in what was read", () => {
    const bytes = Buffer.concat([Buffer.from("abc"), usual, Buffer.from("def")]);
    const head = new HeadReader(headFormLimits).read(bytes, 3);
    assert.equal(head?.end, 3 + usual.length);
    assert.equal(bytes.toString("latin1", head?.end), "def");
  });

  test("shares its fields with a head before that has the same, and with no other", () => {
    const reader = new HeadReader(headFormLimits);
    const first = reader.read(usual, 0);
    const same = reader.read(headOf("DELETE /other HTTP/1.1", "Host: x"), 0);
    assert.equal(same?.headers, first?.headers);
    assert.equal(same?.url, "/other");
    for (const lines of [["Host: y"], ["Host: x", "A: b"], ["Host: x "], ["host: x"]]) {
      const other = reader.read(headOf("GET / HTTP/1.1", ...lines), 0);
      assert.ok(other !== undefined && other.headers !== first?.headers, lines.join());
    }
    assert.equal(reader.read(headOf("GET / HTTP/1.1", "Host: y"), 0)?.headers.host, "y");
    assert.throws(() => Object.assign(first?.headers ?? {}, { host: "z" }), TypeError);
  });

  test("of a read that ends before it does is not read", () => {
    for (let length = 0; length < usual.length; length++) {
      assert.equal(read(usual.subarray(0, length)), undefined, String(length));
    }
    assert.ok(read(usual) !== undefined);
  });

  test("begins with any of its first bytes, and not with all of them", () => {
    const fields = ["Host: x", "Content-Length:0", "a:", "Ab: c d", "te-st:\u00ff\t"];
    for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]) {
      const bytes = headOf(`${method} /v1/a?b HTTP/1.1`, ...fields);
      for (let length = 1; length < bytes.length; length++) {
        assert.ok(begins(bytes.subarray(0, length)), bytes.toString("latin1", 0, length));
      }
      assert.ok(!begins(bytes));
    }
  });

  test("has begun only where its limits allow it", () => {
    const bytes = headOf("GET /abc HTTP/1.1", "Host: x", "A: b").subarray(0, -2);
    const length = bytes.length;
    assert.ok(begins(bytes, { headBytes: length + 1, targetBytes: 4, fields: 2 }));
    assert.ok(!begins(bytes, { headBytes: length, targetBytes: 4, fields: 2 }));
    assert.ok(!begins(bytes, { headBytes: length + 1, targetBytes: 3, fields: 2 }));
    assert.ok(!begins(bytes, { headBytes: length + 1, targetBytes: 4, fields: 1 }));
    assert.ok(!begins(Buffer.from("GET /abc"), { ...headFormLimits, targetBytes: 3 }));
  });

  test("has not begun where no byte behind could make it one", () => {
    for (const text of [
      "get",
      "GET\t/",
      "GETS",
      "\r\n",
      "GET  ",
      "GET /#",
      "GET /\u00e9",
      "GET x",
      "GET / HTTP/1.0",
      "GET / HTTP/1.1 ",
      "GET / HTTP/1.1\n",
      "GET / HTTP/1.1\r\r",
      "GET / HTTP/1.1\r\n ",
      "GET / HTTP/1.1\r\n:",
      "GET / HTTP/1.1\r\nHost :",
      "GET / HTTP/1.1\r\nHost: x\ry",
      "GET / HTTP/1.1\r\nHost: x\0",
      "GET / HTTP/1.1\r\nHost\r",
      "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n",
      "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
      "POST / HTTP/1.1\r\nContent-Length: +2\r\n",
      "GET / HTTP/1.1\r\nConnection: upgrade\r\n",
    ]) {
      assert.ok(!begins(Buffer.from(text, "latin1")), JSON.stringify(text));
    }
  });

  const foreign: readonly (readonly [why: string, ...lines: readonly string[]])[] = [
    ["another method", "OPTIONS / HTTP/1.1", "Host: x"],
    ["a method in small letters", "get / HTTP/1.1", "Host: x"],
    ["a longer method", "GETS / HTTP/1.1", "Host: x"],
    ["two spaces", "GET  / HTTP/1.1", "Host: x"],
    ["a tab", "GET\t/ HTTP/1.1", "Host: x"],
    ["no target", "GET HTTP/1.1", "Host: x"],
    ["no version", "GET /", "Host: x"],
    ["version 1.0", "GET / HTTP/1.0", "Host: x"],
    ["version 2.0", "GET / HTTP/2.0", "Host: x"],
    ["a space behind the version", "GET / HTTP/1.1 ", "Host: x"],
    ["absolute form", "GET http://x/ HTTP/1.1", "Host: x"],
    ["asterisk form", "GET * HTTP/1.1", "Host: x"],
    ["a fragment", "GET /#a HTTP/1.1", "Host: x"],
    ["a target that is no ASCII", "GET /\u00e9 HTTP/1.1", "Host: x"],
    ["an empty line before it", "", "GET / HTTP/1.1", "Host: x"],
    ["no field", "GET / HTTP/1.1"],
    ["no host", "GET / HTTP/1.1", "A: b"],
    ["two hosts", "GET / HTTP/1.1", "Host: x", "host: x"],
    ["a field without colon", "GET / HTTP/1.1", "Host: x", "abc"],
    ["a field without name", "GET / HTTP/1.1", "Host: x", ": abc"],
    ["a space before the colon", "GET / HTTP/1.1", "Host : x"],
    ["a folded line", "GET / HTTP/1.1", "Host: x", "A: b", " c"],
    ["bare line feeds", "GET / HTTP/1.1\nHost: x"],
    ["a bare line feed in a value", "GET / HTTP/1.1", "Host: x", "A: b\nC: d"],
    ["a bare carriage return in a value", "GET / HTTP/1.1", "Host: x", "A: b\rC: d"],
    ["NUL in a value", "GET / HTTP/1.1", "Host: x", "A: \0"],
    ["two lengths", "POST / HTTP/1.1", "Host: x", "Content-Length: 1", "Content-Length: 1"],
    ["a list of lengths", "POST / HTTP/1.1", "Host: x", "Content-Length: 1, 1"],
    ["an empty length", "POST / HTTP/1.1", "Host: x", "Content-Length:"],
    ["a signed length", "POST / HTTP/1.1", "Host: x", "Content-Length: +2"],
    ["a length in hexadecimal", "POST / HTTP/1.1", "Host: x", "Content-Length: 0x2"],
    ["a length beyond all numbers", "POST / HTTP/1.1", "Host: x", `Content-Length: ${"9".repeat(16)}`],
    ["a body of GET", "GET / HTTP/1.1", "Host: x", "Content-Length: 1"],
    ["a body of HEAD", "HEAD / HTTP/1.1", "Host: x", "Content-Length: 1"],
    ["Transfer-Encoding", "POST / HTTP/1.1", "Host: x", "Transfer-Encoding: chunked"],
    ["Expect", "POST / HTTP/1.1", "Host: x", "Expect: 100-continue"],
    ["Upgrade", "GET / HTTP/1.1", "Host: x", "Upgrade: websocket"],
    ["Trailer", "GET / HTTP/1.1", "Host: x", "Trailer: a"],
    ["TE", "GET / HTTP/1.1", "Host: x", "TE: trailers"],
    ["HTTP2-Settings", "GET / HTTP/1.1", "Host: x", "HTTP2-Settings: a"],
    ["Proxy-Connection", "GET / HTTP/1.1", "Host: x", "Proxy-Connection: close"],
    ["__proto__", "GET / HTTP/1.1", "Host: x", "__proto__: a"],
    ["Connection with another option", "GET / HTTP/1.1", "Host: x", "Connection: upgrade"],
    ["Connection with two options", "GET / HTTP/1.1", "Host: x", "Connection: close, x"],
    ["two of Connection", "GET / HTTP/1.1", "Host: x", "Connection: close", "Connection: close"],
    ["an empty Connection", "GET / HTTP/1.1", "Host: x", "Connection:"],
    ["more than 100 fields", "GET / HTTP/1.1", "Host: x", ...Array.from({ length: 100 }, () => "A: b")],
    ["a target of more than 8 KiB", `GET /${"a".repeat(8192)} HTTP/1.1`, "Host: x"],
    ["more than 16 KiB", "GET / HTTP/1.1", "Host: x", `A: ${"b".repeat(16_384)}`],
  ];
  for (const [why, ...lines] of foreign) {
    test(`is Node's with ${why}`, () => {
      assert.equal(read(headOf(...lines)), undefined);
      assert.ok(!begins(headOf(...lines)));
    });
  }

  test("is read up to its limits, and to those of the server", () => {
    const fields = Array.from({ length: 99 }, (_, index) => `a${index}: ${"b".repeat(100)}`);
    const long = headOf(`GET /${"a".repeat(4000)} HTTP/1.1`, "Host: x", ...fields);
    assert.equal(read(long)?.end, long.length);
    assert.equal(read(long, { ...headFormLimits, headBytes: long.length })?.end, long.length);
    assert.equal(read(long, { ...headFormLimits, headBytes: long.length - 1 }), undefined);
    assert.equal(read(usual, { ...headFormLimits, headBytes: usual.length - 1 }), undefined);
    assert.equal(read(long, { ...headFormLimits, targetBytes: 4000 }), undefined);
    assert.equal(read(long, { ...headFormLimits, fields: 99 }), undefined);
  });

  test("E13: with any byte at any place is read as Node reads it, or is Node's", async () => {
    const kept = headOf("POST /v1/a?b HTTP/1.1", "Host: x", "Content-Length:0", "Ab: c d", "te-st:\u00ff\t");
    const heads: Buffer[] = [];
    for (let place = 0; place < kept.length; place++) {
      for (let byte = 0; byte < 256; byte++) {
        const changed = Buffer.from(kept);
        changed[place] = byte;
        const head = read(changed);
        if (head !== undefined && head.contentLength === 0) heads.push(changed);
      }
    }
    assert.ok(heads.length > 3000, `only ${heads.length} are read`);
    await assertAsNode(heads);
  });

  test("with any fields is read as Node reads it", async () => {
    const name = fc.constantFrom(
      ..."accept age authorization cookie set-cookie content-type etag from referer server user-agent".split(
        " ",
      ),
      ..."via x-a constructor toString valueOf expires location max-forwards retry-after date vary".split(
        " ",
      ),
      ..."if-modified-since if-unmodified-since last-modified proxy-authorization if-match origin".split(" "),
    );
    const text = fc.string({
      unit: fc.constantFrom(" ", "\t", "a", ",", ";", "=", '"', ":", "\u0080", "\u00ff"),
      maxLength: 6,
    });
    const lines = fc.array(
      fc.tuple(name, fc.boolean(), text).map(([field, upper, value]) => {
        return `${upper ? field.toUpperCase() : field}:${value}`;
      }),
      { maxLength: 8 },
    );
    const samples = fc.sample(lines, { numRuns: 1000, seed: 11 });
    const reader = new HeadReader(headFormLimits);
    const isTwice = (some: string[]): boolean =>
      some.filter((line) => line.toLowerCase().startsWith("authorization:")).length > 1;
    // Node keeps the first of several; they are left to it, as gates have to see that there are several.
    for (const some of samples.filter(isTwice)) {
      assert.equal(reader.read(headOf("GET / HTTP/1.1", "Host: x", ...some), 0), undefined);
    }
    const heads = samples.filter((some) => !isTwice(some));
    await assertAsNode(heads.map((some) => headOf("GET / HTTP/1.1", "Host: x", ...some)));
  });
});
