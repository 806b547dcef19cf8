import assert from "node:assert/strict";
import { test } from "node:test";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { Dispatcher } from "../../../src/core/call/dispatcher.ts";
import { service } from "../../../src/core/call/service.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { RequestMetadata } from "../../../src/gateway/http/request-metadata.ts";
import {
  bodyOf,
  exchangeBytes,
  type Gateway,
  startGateway,
  statusOf,
} from "../../support/gateway-fixture.ts";

/** The metadata that the handler saw for a request with these header lines. */
async function seen(gateway: Gateway, ...lines: string[]): Promise<Record<string, string>> {
  const request = ["GET /test/v1/echo/a HTTP/1.1", "Host: ok", "Connection: close", ...lines, "", ""].join(
    "\r\n",
  );
  const answer = await exchangeBytes(gateway.port, Buffer.from(request, "latin1"));
  assert.equal(statusOf(answer), 200, answer);
  return (JSON.parse(bodyOf(answer)) as { headers: Record<string, string> }).headers; // The echo's reply.
}

/** Calls the echo with a behaviour. */
function echo(gateway: Gateway, behaviour: object, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${gateway.url}/test/v1/echo`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ text: "a", behaviour }),
  });
}

const never = [
  "X-Forwarded-Client-Cert: By=evil",
  "X-User-Id: 1",
  "X-Auth-User: root",
  "TE: trailers",
  "Trailer: x",
  "Keep-Alive: timeout=5",
  "Grpc-Status: 0",
  "Grpc-Message: ok",
  "Grpc-Encoding: gzip",
  "Content-Language: de",
  "Proxy-Authorization: Basic x",
];

test("headers of the allow-list become metadata, others do not", async () => {
  await using gateway = await startGateway();
  const headers = await seen(
    gateway,
    "Authorization: Bearer t",
    "Accept-Language: de",
    "Traceparent: 00-1-2-03",
    "Tracestate: a=b",
    "Baggage: k=v",
    "X-Request-Id: r1",
    "Idempotency-Key: i1",
    'If-Match: "e"',
    'If-None-Match: "f"',
    "Last-Event-Id: 7",
    "User-Agent: tests/1",
    "Cookie: secret=1",
    "Origin: https://here",
    "Accept: application/json",
    "X-Anything: 1",
    "X-Forwarded-For: 1.2.3.4",
    "Grpc-Metadata-X-Sneak: 1",
    ...never,
  );
  assert.deepEqual(headers, {
    authorization: "Bearer t",
    "accept-language": "de",
    traceparent: "00-1-2-03",
    tracestate: "a=b",
    baggage: "k=v",
    "x-request-id": "r1",
    "idempotency-key": "i1",
    "if-match": '"e"',
    "if-none-match": '"f"',
    "last-event-id": "7",
    "x-forwarded-user-agent": "tests/1",
  });
});

test("further headers are forwarded by option", async () => {
  await using gateway = await startGateway({
    forwardHeaders: ["Cookie", "Origin", "X-Tenant", "X-Blob-Bin"],
  });
  const headers = await seen(
    gateway,
    "Cookie: a=1",
    "Origin: https://here",
    "X-Tenant: t",
    "X-Blob-Bin: AAE",
  );
  assert.deepEqual(headers, { cookie: "a=1", origin: "https://here", "x-tenant": "t", "x-blob-bin": "AAE" });
});

test("values that metadata cannot hold are left out", async () => {
  await using gateway = await startGateway();
  assert.deepEqual(await seen(gateway, "X-Request-Id: \u00e9", "Baggage: ok"), { baggage: "ok" });
});

test("T21: reserved and identity names can never be forwarded", () => {
  for (const name of [
    "Grpc-Timeout",
    "Content-Type",
    "TE",
    ":path",
    "Host",
    "Connection",
    "X-User-Id",
    "a b",
  ]) {
    const forwardHeaders = [name];
    assert.throws(() => new RequestMetadata({ forwardHeaders, grpcMetadataPrefix: false }), {
      name: "TypeError",
      message: new RegExp(`"${name.toLowerCase()}" (?:can never be forwarded|is no name)`),
    });
  }
});

test("T21: Grpc-Metadata- only by option, never for reserved names, and -bin has to be base64", async () => {
  await using gateway = await startGateway({ compat: "grpc-gateway" });
  const prefixed = never.map((line) => `Grpc-Metadata-${line}`);
  const headers = await seen(
    gateway,
    ...prefixed,
    "Grpc-Metadata-Grpc-Timeout: 1S",
    "Grpc-Metadata-Content-Type: text/html",
    "Grpc-Metadata-X-Mine: 1",
    "Grpc-Metadata-X-Bin: AAE=",
    "Grpc-Metadata-Authorization: forged",
    "Authorization: own",
  );
  assert.deepEqual(headers, { authorization: "own", "x-mine": "1", "x-bin": "AAE=" });
  const bad = await fetch(`${gateway.url}/test/v1/echo/a`, { headers: { "Grpc-Metadata-X-Bin": "%%%" } });
  assert.equal(bad.status, 400);
  assert.equal(((await bad.json()) as { code: number }).code, 3);
  await gateway.stillServes();
});

test("H26: naming a header in Connection does not take it away from the service", async () => {
  await using gateway = await startGateway();
  const headers = await seen(
    gateway,
    "Connection: authorization, x-user-id",
    "Authorization: Bearer t",
    "X-User-Id: 1",
  );
  assert.deepEqual(headers, { authorization: "Bearer t" });
});

test("response metadata leaves under its own name, without reserved names", async () => {
  await using gateway = await startGateway();
  const response = await echo(gateway, {
    headers: {
      "x-one": "1",
      etag: '"e"',
      "cache-control": "no-cache",
      "x-data-bin": "AAE=",
      "grpc-status": "5",
      "grpc-message": "x",
      "content-length": "1",
      "content-type": "text/html",
      "content-encoding": "gzip",
      connection: "close",
      "transfer-encoding": "chunked",
      date: "never",
    },
    trailers: { "x-last": "2", "grpc-status": "5" },
  });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("x-one"), "1");
  assert.equal(response.headers.get("etag"), '"e"');
  assert.equal(response.headers.get("cache-control"), "no-cache");
  assert.equal(response.headers.get("x-data-bin"), "AAE=");
  assert.equal(response.headers.get("x-last"), "2");
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.notEqual(response.headers.get("date"), "never");
  for (const name of ["grpc-status", "grpc-message", "content-encoding", "transfer-encoding"]) {
    assert.equal(response.headers.get(name), null, name);
  }
  assert.equal(((await response.json()) as { text: string }).text, "a");
});

test("response metadata has the prefixes of grpc-gateway by option, and can be dropped", async () => {
  await using gateway = await startGateway({ compat: "grpc-gateway", dropResponseHeaders: ["X-Secret"] });
  const response = await echo(gateway, {
    headers: { "x-one": "1", "x-secret": "s" },
    trailers: { "x-last": "2" },
  });
  await response.arrayBuffer();
  assert.equal(response.headers.get("grpc-metadata-x-one"), "1");
  assert.equal(response.headers.get("grpc-trailer-x-last"), "2");
  assert.doesNotMatch([...response.headers.keys()].join(), /secret/);
});

test("several values and several cookies stay apart", async () => {
  const dispatcher = new Dispatcher();
  const cookies = service(EchoService, {
    echo(_request, context) {
      context.responseHeader.append("set-cookie", "a=1; Expires=Wed, 01 Jan 2031 00:00:00 GMT");
      context.responseHeader.append("set-cookie", "b=2");
      context.responseHeader.append("x-list", "1");
      context.responseHeader.append("x-list", "2");
      return {};
    },
  });
  dispatcher.add(cookies);
  const http = new HttpServer({ upstream: { dispatcher, address: undefined }, port: 0 }).addService(cookies);
  await http.start();
  const response = await fetch(`http://127.0.0.1:${http.address?.port}/test/v1/echo/a`);
  await response.arrayBuffer();
  assert.deepEqual(response.headers.getSetCookie(), ["a=1; Expires=Wed, 01 Jan 2031 00:00:00 GMT", "b=2"]);
  assert.equal(response.headers.get("x-list"), "1, 2");
  await http.gracefulStop({ graceMs: 0 });
});

test("values that HTTP cannot write are left out, of replies and of errors", async () => {
  await using gateway = await startGateway();
  const good = await echo(gateway, { headers: { "x-bad": "a\u0001b", "x-latin": "\u00e9" } });
  assert.equal(good.status, 200);
  assert.equal(good.headers.get("x-bad"), null);
  assert.equal(good.headers.get("x-latin"), null);
  await good.arrayBuffer();
  const failure = { code: 5, message: "a\nb", metadata: { "x-bad": "a\u0001b", "x-good": "1" } };
  const bad = await echo(gateway, { failure });
  assert.equal(bad.status, 404);
  assert.equal(bad.headers.get("x-good"), "1");
  assert.equal(((await bad.json()) as { message: string }).message, "a\nb");
  await gateway.stillServes();
});

test("TE: trailers gets trailers as trailers", async () => {
  await using gateway = await startGateway();
  const body = JSON.stringify({ behaviour: { trailers: { "x-last": "2", "x-more": "3", location: "/x" } } });
  const request = [
    "POST /test/v1/echo HTTP/1.1",
    "Host: ok",
    "Connection: close, TE",
    "TE: trailers",
    "Content-Type: application/json",
    `Content-Length: ${body.length}`,
    "",
    body,
  ].join("\r\n");
  const answer = await exchangeBytes(gateway.port, request);
  const [head = ""] = answer.split("\r\n\r\n", 1);
  assert.match(head, /transfer-encoding: chunked/i);
  assert.match(head, /trailer: x-last x-more|trailer: x-last, x-more/i);
  assert.match(head, /location: \/x/);
  assert.doesNotMatch(head, /x-last: 2/);
  assert.match(answer, /\r\n0\r\nx-last: 2\r\nx-more: 3\r\n\r\n$/i);
});

test("x-http-status sets 2xx and 3xx, with location", async () => {
  await using gateway = await startGateway();
  for (const [asked, status] of [
    ["201", 201],
    ["202", 202],
    ["303", 303],
    ["404", 200],
    ["100", 200],
    ["20x", 200],
  ] as const) {
    const headers = { "x-http-status": asked, location: "/elsewhere" };
    const response = await fetch(`${gateway.url}/test/v1/echo`, {
      method: "POST",
      redirect: "manual",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ text: "a", behaviour: { headers } }),
    });
    assert.equal(response.status, status, asked);
    assert.equal(response.headers.get("location"), "/elsewhere");
    assert.equal(response.headers.get("x-http-status"), null);
    assert.equal(((await response.json()) as { text: string }).text, "a");
  }
  const empty = await echo(gateway, { headers: { "x-http-status": "204" } });
  assert.equal(empty.status, 204);
  assert.equal(await empty.text(), "");
  assert.equal(empty.headers.get("content-length"), null);
});
