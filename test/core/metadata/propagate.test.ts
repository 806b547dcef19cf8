import assert from "node:assert/strict";
import { test } from "node:test";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { CallContext, type CallContextInit } from "../../../src/core/call/context.ts";
import { passOn, propagate } from "../../../src/core/metadata/propagate.ts";

function context(init: Partial<CallContextInit> = {}): CallContext {
  const method = EchoService.method.echo;
  return new CallContext({ method, protocolName: "test", requestHeader: new Headers(), ...init });
}

test("propagate takes along identity, trace, deadline and cancellation, and no other header", () => {
  const requestHeader = new Headers({
    authorization: "Bearer t",
    traceparent: "00-1",
    "x-request-id": "r",
    "x-tenant": "a",
    cookie: "c",
  });
  const call = context({ requestHeader, timeoutMs: 5_000 });
  const options = propagate(call, ["x-tenant", "x-missing"]);
  assert.deepEqual(
    [...(options.headers as Headers)].map(([name]) => name),
    ["authorization", "traceparent", "x-request-id", "x-tenant"],
  );
  assert.ok(options.timeoutMs !== undefined && options.timeoutMs <= 5_000);
  assert.equal(options.signal, call.signal);
  call.end();
  assert.equal("timeoutMs" in propagate(context()), false);
  assert.equal(propagate(context({ timeoutMs: 0 })).timeoutMs, 1);
});

test("passOn does the same under its former name", () => {
  const requestHeader = new Headers({ authorization: "Bearer t", "x-request-id": "r", "x-tenant": "a" });
  const call = context({ requestHeader, timeoutMs: 5_000 });
  // oxlint-disable-next-line typescript/no-deprecated
  const options = passOn(call, ["x-tenant"]);
  const named = propagate(call, ["x-tenant"]);
  assert.deepEqual([...(options.headers as Headers)], [...(named.headers as Headers)]);
  assert.equal((options.headers as Headers).get("x-tenant"), "a");
  assert.equal(options.signal, call.signal);
  assert.ok(options.timeoutMs !== undefined && options.timeoutMs <= 5_000);
  call.end();
});
