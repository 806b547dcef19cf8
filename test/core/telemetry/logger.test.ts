import assert from "node:assert/strict";
import { test } from "node:test";
import { Health } from "../../../gen/grpc/health/v1/health_pb.ts";
import { GoMs } from "../../../gen/go/micro/service/goms/goms_pb.ts";
import { CallContext } from "../../../src/core/call/context.ts";
import { Code, ConnectError, toCallError } from "../../../src/core/errors/errors.ts";
import { callLog, createLogger, type LogLevel } from "../../../src/core/telemetry/logger.ts";

function collect(level: LogLevel) {
  const lines: Record<string, unknown>[] = [];
  const destination = {
    write(line: string) {
      lines.push(JSON.parse(line) as Record<string, unknown>); // Lines of objects, or the test fails.
    },
  };
  return { lines, observer: callLog(createLogger({ level, destination })) };
}

function call(headers: Record<string, string> = {}, method = GoMs.method.get as CallContext["method"]) {
  return new CallContext({ method, protocolName: "grpc", requestHeader: new Headers(headers) });
}

test("a good call is one line at debug, with the request id and nothing else of the request", () => {
  const { lines, observer } = collect("debug");
  observer.finished?.(call({ "x-request-id": "abc", authorization: "Bearer s3cret" }), undefined);
  const [line = {}] = lines;
  assert.equal(lines.length, 1);
  assert.equal(line["level"], 20);
  assert.equal(line["rpc"], "go.micro.service.goms.GoMs/Get");
  assert.equal(line["door"], "grpc");
  assert.equal(line["code"], "OK");
  assert.equal(line["request_id"], "abc");
  assert.equal(typeof line["duration_ms"], "number");
  assert.doesNotMatch(JSON.stringify(lines), /s3cret|authorization/);
});

test("a good call is not written at info, and its headers are never made", () => {
  const { lines, observer } = collect("info");
  const context = new CallContext({
    method: GoMs.method.get,
    protocolName: "grpc",
    requestHeader: () => assert.fail("headers were looked at"),
  });
  observer.finished?.(context, undefined);
  assert.deepEqual(lines, []);
});

test("a refusal is a line at info that does not repeat what the caller sent", () => {
  const { lines, observer } = collect("info");
  observer.finished?.(call(), new ConnectError('no "s3cret" here', Code.NotFound));
  assert.equal(lines[0]?.["level"], 30);
  assert.equal(lines[0]?.["code"], "NOT_FOUND");
  assert.doesNotMatch(JSON.stringify(lines), /s3cret/);
});

test("a fault of the server's side tells its text", () => {
  const { lines, observer } = collect("info");
  observer.finished?.(call(), new ConnectError("connect ECONNREFUSED 127.0.0.1:1", Code.Unavailable));
  assert.equal(lines[0]?.["code"], "UNAVAILABLE");
  assert.equal(lines[0]?.["error"], "connect ECONNREFUSED 127.0.0.1:1");
});

test("Z11: an exception nobody planned is a line at error with the exception whole", () => {
  const { lines, observer } = collect("error");
  const cause = new TypeError("cannot read x", { cause: new Error("deep") });
  observer.finished?.(call(), toCallError(cause));
  const [line = {}] = lines;
  assert.equal(line["level"], 50);
  assert.equal(line["code"], "INTERNAL");
  const err = line["err"] as { type: string; message: string; stack: string; cause: { message: string } }; // As pino writes it.
  assert.equal(err.type, "TypeError");
  assert.match(err.message, /cannot read x/);
  assert.match(err.stack, /logger\.test\.ts/);
  assert.equal(err.cause.message, "deep");
});

test("whatever was thrown can be written", () => {
  const { lines, observer } = collect("error");
  const circular: Record<string, unknown> = {};
  circular["self"] = circular;
  const hostile = Object.defineProperty(new Error("x"), "trap", {
    enumerable: true,
    get() {
      throw new Error("trapped");
    },
  });
  const big = Object.assign(new Error("big"), { count: 1n, circular });
  for (const thrown of ["text", 12n, null, circular, hostile, big, Symbol("s")]) {
    observer.finished?.(
      call(),
      new ConnectError("internal error", Code.Internal, undefined, undefined, thrown),
    );
  }
  assert.equal(lines.filter(({ level }) => level === 50).length, 7);
});

test("health and reflection are one step quieter", () => {
  const { lines, observer } = collect("debug");
  observer.finished?.(call({}, Health.method.check), undefined);
  assert.deepEqual(lines, []);
  observer.finished?.(call({}, Health.method.check), new ConnectError("x", Code.NotFound));
  assert.equal(lines[0]?.["level"], 20);
});
