import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import {
  bodyOf,
  connectTo,
  exchangeBytes,
  type Gateway,
  readUntil,
  startGateway,
  statusOf,
} from "../../support/gateway-fixture.ts";

const curl = promisify(execFile);

const head = (target: string, ...lines: string[]): string =>
  [`GET ${target} HTTP/1.1`, "Host: ok", ...lines, "", ""].join("\r\n");
const post = (lines: readonly string[], body: string): string =>
  ["POST /test/v1/echo HTTP/1.1", "Host: ok", "Content-Type: application/json", ...lines, "", body].join(
    "\r\n",
  );
const smuggled = "GET /test/v1/echo/smuggled HTTP/1.1\r\nHost: ok\r\n\r\n";

/** One complete answer with `Content-Length`. */
function isComplete(answer: string): boolean {
  const length = /content-length: (\d+)/i.exec(answer)?.[1];
  return answer.includes("\r\n\r\n") && Buffer.byteLength(bodyOf(answer), "latin1") >= Number(length ?? 0);
}

suite("malformed HTTP/1", () => {
  let gateway: Gateway;
  before(async () => {
    gateway = await startGateway();
  });
  after(() => gateway[Symbol.asyncDispose]());

  /** What closes the connection after an answer with one of the statuses. */
  const refused: readonly (readonly [name: string, bytes: string, ...statuses: number[]])[] = [
    [
      "H01: Content-Length with Transfer-Encoding",
      post(["Content-Length: 2", "Transfer-Encoding: chunked"], `0\r\n\r\n${smuggled}`),
      400,
    ],
    [
      "H02: two different Content-Length",
      post(["Content-Length: 2", "Content-Length: 3"], `{}${smuggled}`),
      400,
    ],
    ["H02: two equal Content-Length", post(["Content-Length: 2", "Content-Length: 2"], `{}${smuggled}`), 400],
    ["H03: Content-Length +2", post(["Content-Length: +2"], "{}"), 400],
    ["H03: Content-Length 2 3", post(["Content-Length: 2 3"], "{}"), 400],
    ["H03: Content-Length -1", post(["Content-Length: -1"], "{}"), 400],
    ["H03: Content-Length 0x2", post(["Content-Length: 0x2"], "{}"), 400],
    ["H05: folded header", head("/test/v1/echo/a", "X-A: 1\r\n 2"), 400],
    ["H05: space before the colon", head("/test/v1/echo/a", "X-A : 1"), 400],
    ["H05: bare LF line ends", "GET /test/v1/echo/a HTTP/1.1\nHost: ok\n\n", 400],
    ["H05: bare CR in a value", head("/test/v1/echo/a", "X-A: 1\r2"), 400],
    ["H05: NUL in a value", head("/test/v1/echo/a", "X-A: 1\u00002"), 400],
    ["H06: no Host", "GET /test/v1/echo/a HTTP/1.1\r\n\r\n", 400],
    ["H07: two Host headers", head("/test/v1/echo/a", "Host: evil"), 400],
    ["H07: two equal Host headers", head("/test/v1/echo/a", "host: ok"), 400],
    ["H08: HTTP/0.9", "GET /test/v1/echo/a\r\n\r\n", 400, 505],
    ["H08: HTTP/2.0 on an HTTP/1 connection", "GET /test/v1/echo/a HTTP/2.0\r\nHost: ok\r\n\r\n", 400, 505],
    ["H09: one 17 KiB header", head("/test/v1/echo/a", `X-A: ${"a".repeat(17 * 1024)}`), 431],
    ["H09: more than 100 header fields", head("/test/v1/echo/a", ...Array<string>(100).fill("X-A: 1")), 431],
    ["H11: a target over 8 KiB", head(`/test/v1/echo/${"a".repeat(9000)}`), 414],
    ["H11: a target over 16 KiB", head(`/test/v1/echo/${"a".repeat(17_000)}`), 414, 431],
    [
      "H15: chunk extension of 20 KiB",
      post(["Transfer-Encoding: chunked"], `2;${"a".repeat(20 * 1024)}\r\n{}\r\n0\r\n\r\n`),
      413,
    ],
    ["H15: chunk size ZZ", post(["Transfer-Encoding: chunked"], "ZZ\r\n{}\r\n0\r\n\r\n"), 400],
    [
      "H15: chunk size over 64 bits",
      post(["Transfer-Encoding: chunked"], "FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n"),
      400,
    ],
    ["H15: bare LF after the chunk size", post(["Transfer-Encoding: chunked"], "2\n{}\r\n0\r\n\r\n"), 400],
    ["H18: an unknown expectation", post(["Expect: 200-ok", "Content-Length: 2"], "{}"), 417],
    ["H19: an unknown method", "FOO /test/v1/echo/a HTTP/1.1\r\nHost: ok\r\n\r\n", 400, 501],
    ["H19: CONNECT to a path", "CONNECT /test/v1/echo/a HTTP/1.1\r\nHost: ok\r\n\r\n", 405],
    ["H19: CONNECT to a path that is not there", "CONNECT /nope HTTP/1.1\r\nHost: ok\r\n\r\n", 404],
    ["H19: CONNECT", "CONNECT example.com:443 HTTP/1.1\r\nHost: ok\r\n\r\n", 405],
    ["H25: a broken HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSMS\r\n\r\n", 400],
    ["H25: a TLS ClientHello", "\u0016\u0003\u0001\u0002\0\u0001\0\u0001\u00fc\u0003\u0003random", 400],
    ["a fragment in the target", head("/test/v1/echo/a#b"), 400],
    ["a target that is no path", "GET test HTTP/1.1\r\nHost: ok\r\n\r\n", 400],
    ["a target * of another method than OPTIONS", "GET * HTTP/1.1\r\nHost: ok\r\n\r\n", 400],
  ];
  for (const [name, bytes, ...statuses] of refused) {
    test(name, async () => {
      const calls = gateway.echo.calls;
      const answer = await exchangeBytes(gateway.port, Buffer.from(bytes, "latin1"));
      assert.ok(statuses.includes(statusOf(answer)), `${statuses.join(" or ")} is due, got ${answer}`);
      assert.match(answer, /connection: close/i);
      assert.equal(answer.split("HTTP/1.1 ").length, 2, "one answer only");
      const body = JSON.parse(bodyOf(answer)) as Record<string, unknown>; // Every error is a JSON object.
      assert.equal(typeof body["code"], "number");
      assert.equal(typeof body["message"], "string");
      assert.deepEqual(body["details"], []);
      assert.equal(gateway.echo.calls, calls, "no handler has run");
      await gateway.stillServes();
    });
  }

  test("H18: a body that is announced too large is refused before it is sent", async () => {
    const answer = await exchangeBytes(
      gateway.port,
      post(["Expect: 100-continue", `Content-Length: ${5 * 1024 * 1024}`], ""),
    );
    assert.equal(statusOf(answer), 413);
    assert.doesNotMatch(answer, /100 Continue/);
    await gateway.stillServes();
  });

  test("H18: a body of a good size is asked for", async () => {
    const socket = await connectTo(gateway.port);
    socket.write(post(["Expect: 100-continue", "Content-Length: 12", "Connection: close"], ""));
    const asked = readUntil(socket, (text) => {
      if (text === "HTTP/1.1 100 Continue\r\n\r\n") socket.write('{"text":"a"}');
      return false;
    });
    assert.match(await asked, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
  });

  test("H19: curl -X FOO", async () => {
    const { stdout } = await curl("curl", [
      "-s",
      "-X",
      "FOO",
      "-w",
      "%{http_code}",
      `${gateway.url}/test/v1/echo`,
    ]);
    assert.match(stdout, /400$/);
  });

  test("H24: an absolute target is reduced to its path", async () => {
    const answer = await exchangeBytes(gateway.port, head("http://evil/test/v1/echo/a", "Connection: close"));
    assert.equal(statusOf(answer), 200);
    assert.equal((JSON.parse(bodyOf(answer)) as { text: string }).text, "a");
  });

  test("OPTIONS * answers 204 without a body", async () => {
    const answer = await exchangeBytes(
      gateway.port,
      "OPTIONS * HTTP/1.1\r\nHost: ok\r\nConnection: close\r\n\r\n",
    );
    assert.equal(statusOf(answer), 204);
    assert.equal(bodyOf(answer), "");
  });

  test("P14: Upgrade: h2c is ignored", async () => {
    const upgrade = [
      "Connection: Upgrade, HTTP2-Settings",
      "Upgrade: h2c",
      "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    ];
    const answer = await exchangeBytes(gateway.port, head("/test/v1/echo/a", ...upgrade), isComplete);
    assert.equal(statusOf(answer), 200);
    await gateway.stillServes();
  });

  test("H30: 1,000 pipelined requests are answered in order, one after the other", async () => {
    const requests = Array.from({ length: 1000 }, (_, index) => head(`/test/v1/echo/n${index}`)).join("");
    const answer = await exchangeBytes(gateway.port, requests, (text) => text.includes('"n999"'));
    const texts = [...answer.matchAll(/"text":"(n\d+)"/g)].map(([, text]) => text);
    assert.deepEqual(
      texts,
      Array.from({ length: 1000 }, (_, index) => `n${index}`),
    );
    await gateway.stillServes();
  });

  test("H30: one connection has one request in flight", async () => {
    const calls = gateway.echo.calls;
    const slow = head("/test/v1/echo/a?behaviour.sleepMs=60000");
    const socket = await connectTo(gateway.port);
    socket.write(slow.repeat(1000));
    await gateway.echo.until((echo) => echo.calls > calls);
    await gateway.stillServes(); // By now the other requests would have begun.
    assert.equal(gateway.echo.calls, calls + 2);
    const aborted = gateway.echo.aborted;
    socket.destroy();
    await gateway.echo.until((echo) => echo.aborted > aborted);
    await gateway.stillServes();
    assert.equal(gateway.echo.calls, calls + 3, "nothing that waited has run");
  });

  test("H30: a header named __proto__ does nothing", async () => {
    const answer = await exchangeBytes(
      gateway.port,
      head("/test/v1/echo/a", "__proto__: 1", "Connection: close"),
    );
    assert.equal(statusOf(answer), 200);
  });

  test("what follows a request with Connection: close is never served", async () => {
    const { calls } = gateway.echo;
    const first = head("/test/v1/echo/first", "Connection: close");
    const answer = await exchangeBytes(gateway.port, first + head("/test/v1/echo/second"));
    assert.match(answer, /"text":"first"/);
    assert.equal(answer.split("HTTP/1.1 ").length, 2);
    await gateway.stillServes();
    assert.equal(gateway.echo.calls, calls + 2);
  });

  test("a broken request behind a good one leaves the good one its answer", async () => {
    const answer = await exchangeBytes(gateway.port, `${head("/test/v1/echo/good")}GARBAGE\r\n\r\n`);
    assert.equal(statusOf(answer), 200);
    assert.match(answer, /"text":"good"/);
    assert.equal(answer.split("HTTP/1.1 ").length, 2);
    await gateway.stillServes();
  });
});

test("H12: headers that do not arrive in time are 408, others are served meanwhile", async () => {
  await using gateway = await startGateway({ headersTimeoutMs: 300, connectionsCheckingIntervalMs: 50 });
  const sockets = await Promise.all(Array.from({ length: 100 }, () => connectTo(gateway.port)));
  const answers = sockets.map(async (socket, index) => {
    const answer = readUntil(socket, () => false);
    if (index % 2 === 0) socket.write("GET /test/v1/echo/a HTTP/1.1\r\nHo");
    return answer;
  });
  await gateway.stillServes();
  for (const answer of await Promise.all(answers)) assert.ok([408, 0].includes(statusOf(answer)), answer);
  await gateway.stillServes();
});

test("H24: hosts that are not allowed are 421", async () => {
  await using gateway = await startGateway({ allowedHosts: ["ok", "ok:8443", "127.0.0.1"] });
  const cases: readonly (readonly [request: string, status: number])[] = [
    [head("/test/v1/echo/a", "Connection: close"), 200],
    [head("/test/v1/echo/a", "Connection: close").replace("Host: ok", "Host: OK:8080"), 200],
    [head("/test/v1/echo/a").replace("Host: ok", "Host: evil"), 421],
    [head("http://evil/test/v1/echo/a"), 421],
    [head("http://ok/test/v1/echo/a", "Connection: close").replace("Host: ok", "Host: evil"), 200],
  ];
  for (const [request, status] of cases) {
    assert.equal(statusOf(await exchangeBytes(gateway.port, request)), status, request);
  }
  await gateway.stillServes();
});
