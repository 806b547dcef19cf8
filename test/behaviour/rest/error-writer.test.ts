import assert from "node:assert/strict";
import { test } from "node:test";
import { anyPack, DurationSchema } from "@bufbuild/protobuf/wkt";
import { create, createRegistry, toBinary, type JsonObject } from "@bufbuild/protobuf";
import { ErrorInfoSchema, RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { EchoRequestSchema, EchoService, file_tsms_test_v1_echo } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { service } from "../../../src/core/call/service.ts";
import type { ErrorFormat } from "../../../src/gateway/http/error-body.ts";
import { codeOfHttpStatus } from "../../../src/core/errors/http-status.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { Dispatcher } from "../../../src/core/call/dispatcher.ts";

/** Sends one call to a handler that throws `reason`. */
async function failWith(
  reason: unknown,
  options: Partial<HttpServerOptions> = {},
): Promise<{ response: Response; body: JsonObject; text: string }> {
  const dispatcher = new Dispatcher();
  const failing = service(EchoService, {
    echo() {
      throw reason;
    },
  });
  dispatcher.add(failing);
  const http = new HttpServer({ upstream: { dispatcher, address: undefined }, port: 0, ...options });
  http.addService(failing);
  await http.start();
  try {
    const response = await fetch(`http://127.0.0.1:${http.address?.port}/test/v1/echo/a`);
    const text = await response.text();
    return { response, text, body: JSON.parse(text) as JsonObject };
  } finally {
    await http.gracefulStop({ graceMs: 0 });
  }
}

const statuses = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
] as const;

for (const [code, status] of statuses.entries()) {
  if (code === 0) continue;
  test(`code ${code} is HTTP ${status}`, async () => {
    const { response, body } = await failWith(new ConnectError("so it is", code));
    assert.equal(response.status, status);
    assert.equal(response.headers.get("content-type"), "application/json");
    assert.deepEqual(body, { code, message: "so it is", details: [] });
    assert.equal(response.headers.get("grpc-status"), null);
    assert.equal(response.headers.get("grpc-message"), null);
  });
}

test("an exception that nobody planned is 500 without its text", async () => {
  const { response, body, text } = await failWith(new Error("the password is 1234"));
  assert.equal(response.status, 500);
  assert.deepEqual(body, { code: 13, message: "internal error", details: [] });
  assert.doesNotMatch(text, /1234|at |\.ts/);
});

test("messages of any text leave as valid JSON", async () => {
  for (const message of ["line\nbreak", 'quote " and \\', "é 漢 🎈", "%zz", "x".repeat(10_000)]) {
    assert.equal((await failWith(new ConnectError(message, Code.NotFound))).body["message"], message);
  }
});

const reason = new ConnectError("not here", Code.NotFound, undefined, [
  { desc: ErrorInfoSchema, value: { reason: "GONE", domain: "tests" } },
]);
const detail = { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "GONE", domain: "tests" };

test("format status", async () => {
  const { body } = await failWith(reason);
  assert.deepEqual(body, { code: 5, message: "not here", details: [detail] });
});

test("format google", async () => {
  const { response, body } = await failWith(reason, { errorFormat: "google" });
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.deepEqual(body, {
    error: { code: 404, message: "not here", status: "NOT_FOUND", details: [detail] },
  });
});

test("format problem", async () => {
  const { response, body } = await failWith(reason, { errorFormat: "problem" });
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.deepEqual(body, {
    type: "about:blank",
    title: "Not Found",
    status: 404,
    detail: "not here",
    code: 5,
    details: [detail],
  });
});

test("a format of one's own, and one that fails", async () => {
  const own: ErrorFormat = (error, status, details) => ({
    contentType: "application/vnd.own+json",
    body: JSON.stringify({ own: [error.code, status, details.length] }),
  });
  const { response, body } = await failWith(reason, { errorFormat: own });
  assert.equal(response.status, 404);
  assert.equal(response.headers.get("content-type"), "application/vnd.own+json");
  assert.deepEqual(body, { own: [5, 404, 1] });
  const failing: ErrorFormat = () => {
    throw new Error("the format is broken");
  };
  const fallback = await failWith(reason, { errorFormat: failing });
  assert.equal(fallback.response.status, 404);
  assert.deepEqual(fallback.body, { code: 5, message: "not here", details: [detail] });
});

test("an unknown format is refused when the server is built", () => {
  const errorFormat = "xml" as ErrorFormat; // What JavaScript could pass.
  assert.throws(
    () => new HttpServer({ upstream: "localhost:1", errorFormat }),
    /errorFormat "xml" is unknown/,
  );
});

test("T22: a detail of an unknown type is kept as base64", async () => {
  const error = new ConnectError("odd", Code.Aborted);
  error.details.push({ type: "no.such.Type", value: Uint8Array.of(1, 2, 255) });
  error.details.push({ type: "google.rpc.ErrorInfo", value: Uint8Array.of(255) });
  const { response, body } = await failWith(error);
  assert.equal(response.status, 409);
  assert.deepEqual(body["details"], [
    { "@type": "type.googleapis.com/no.such.Type", value: "AQL/" },
    { "@type": "type.googleapis.com/google.rpc.ErrorInfo", value: "/w==" },
  ]);
});

test("details of the types of a registry are decoded, well-known types too", async () => {
  const error = new ConnectError("odd", Code.Aborted);
  const echo = anyPack(EchoRequestSchema, create(EchoRequestSchema, { text: "a" }));
  error.details.push({ type: "tsms.test.v1.EchoRequest", value: echo.value });
  error.details.push({
    type: "google.protobuf.Duration",
    value: toBinary(DurationSchema, create(DurationSchema, { seconds: 3n })),
  });
  const registry = createRegistry(file_tsms_test_v1_echo, DurationSchema);
  const { body } = await failWith(error, { registry });
  assert.deepEqual(body["details"], [
    { "@type": "type.googleapis.com/tsms.test.v1.EchoRequest", text: "a" },
    { "@type": "type.googleapis.com/google.protobuf.Duration", value: "3s" },
  ]);
});

test("Retry-After comes from RetryInfo on 503 and 429 only", async () => {
  const retryInfo = { desc: RetryInfoSchema, value: { retryDelay: { seconds: 2n, nanos: 1 } } };
  for (const [code, expected] of [
    [Code.Unavailable, "3"],
    [Code.ResourceExhausted, "3"],
    [Code.Internal, null],
  ] as const) {
    const { response } = await failWith(new ConnectError("later", code, undefined, [retryInfo]));
    assert.equal(response.headers.get("retry-after"), expected);
  }
  const { response } = await failWith(new ConnectError("later", Code.Unavailable));
  assert.equal(response.headers.get("retry-after"), null);
});

test("WWW-Authenticate is on every 401, the service's own first", async () => {
  const plain = await failWith(new ConnectError("who are you", Code.Unauthenticated));
  assert.equal(plain.response.headers.get("www-authenticate"), "Bearer");
  const option = await failWith(new ConnectError("who are you", Code.Unauthenticated), {
    challenge: 'Basic realm="x"',
  });
  assert.equal(option.response.headers.get("www-authenticate"), 'Basic realm="x"');
  const metadata = { "www-authenticate": 'Bearer error="invalid_token"' };
  const own = await failWith(new ConnectError("who are you", Code.Unauthenticated, metadata));
  assert.equal(own.response.headers.get("www-authenticate"), 'Bearer error="invalid_token"');
});

test("metadata of an error becomes headers, but for reserved names", async () => {
  const metadata = { "x-reason": "why", "grpc-status": "3", "content-length": "1", "x-http-status": "200" };
  const { response } = await failWith(new ConnectError("no", Code.NotFound, metadata));
  assert.equal(response.status, 404);
  assert.equal(response.headers.get("x-reason"), "why");
  assert.equal(response.headers.get("grpc-status"), null);
  assert.equal(response.headers.get("x-http-status"), null);
});

test("a reply that has no JSON is 500", async () => {
  const wrong = service(EchoService, { echo: () => ({ number: "secret" as unknown as bigint }) });
  const dispatcher = new Dispatcher();
  dispatcher.add(wrong);
  const http = new HttpServer({ upstream: { dispatcher, address: undefined }, port: 0 });
  http.addService(wrong);
  await http.start();
  const response = await fetch(`http://127.0.0.1:${http.address?.port}/test/v1/echo/a`);
  assert.equal(response.status, 500);
  assert.equal(((await response.json()) as JsonObject)["code"], 13);
  await http.gracefulStop({ graceMs: 0 });
});

test("statuses of the engine have codes", () => {
  const cases = {
    400: 3,
    401: 16,
    403: 7,
    404: 5,
    409: 10,
    413: 8,
    416: 11,
    418: 9,
    429: 8,
    501: 12,
    502: 13,
    503: 14,
  };
  for (const [status, code] of Object.entries(cases)) assert.equal(codeOfHttpStatus(Number(status)), code);
});
