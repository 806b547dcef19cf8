import assert from "node:assert/strict";
import { test } from "node:test";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { CallContext, type CallContextInit } from "../../../src/core/call/context.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { failure, never } from "../../support/failure.ts";

const method = EchoService.method.echo;

function context(init: Partial<CallContextInit> = {}): CallContext {
  return new CallContext({ method, protocolName: "test", requestHeader: new Headers(), ...init });
}

const reason = new ConnectError("enough", Code.Aborted);

test("headers are made when they are asked for, and once", () => {
  let made = 0;
  const call = context({
    requestHeader() {
      made++;
      return new Headers({ "x-a": "1" });
    },
  });
  assert.equal(made, 0);
  assert.equal(call.requestHeader.get("x-a"), "1");
  assert.equal(call.requestHeader, call.requestHeader);
  assert.equal(made, 1);
  assert.equal(call.responseHeaderIfAny, undefined);
  assert.equal(call.responseTrailerIfAny, undefined);
  assert.equal(call.responseHeader, call.responseHeaderIfAny);
  assert.equal(call.responseTrailer, call.responseTrailerIfAny);
});

test("a context without a deadline has none", () => {
  const call = context();
  assert.equal(call.timeoutMs(), undefined);
  assert.equal(call.deadline, undefined);
});

test("limit shortens a deadline and never lengthens it", () => {
  const call = context({ timeoutMs: 10_000 });
  call.limit(20_000);
  assert.ok((call.timeoutMs() ?? 0) <= 10_000);
  call.limit(5_000);
  assert.ok((call.timeoutMs() ?? 0) <= 5_000);
  call.end();
});

test("a deadline fires for whoever listens before or after a shorter limit", async () => {
  const call = context({ timeoutMs: 60_000 });
  const waiting = failure(call.race(never()), Code.DeadlineExceeded);
  const fired = new Promise((resolve) => call.signal.addEventListener("abort", resolve));
  call.limit(10);
  await Promise.all([waiting, fired]);
  assert.equal(call.reason?.code, Code.DeadlineExceeded);
  assert.equal(call.signal.reason, call.reason);
});

test("a deadline that lies before now aborts at once", () => {
  assert.equal(context({ timeoutMs: 0 }).reason?.code, Code.DeadlineExceeded);
  assert.equal(context({ timeoutMs: -5 }).signal.aborted, true);
});

test("a deadline in a hundred years needs no timer and does not fire", async () => {
  const call = context({ timeoutMs: 100 * 365 * 86_400_000 });
  assert.equal(await call.race(Promise.resolve(1)), 1);
  assert.equal(call.signal.aborted, false);
  call.end();
});

test("the first abort wins and is told once to everybody", async () => {
  const call = context();
  const heard: ConnectError[] = [];
  call.onAbort((why) => heard.push(why));
  const unsubscribe = call.onAbort(() => assert.fail("unsubscribed"));
  unsubscribe();
  unsubscribe();
  const raced = failure(call.race(never()));
  call.abort(reason);
  call.abort(new ConnectError("later", Code.Internal));
  call.onAbort((why) => heard.push(why));
  assert.equal(await raced, reason);
  assert.deepEqual(heard, [reason, reason]);
  assert.equal(call.reason, reason);
  assert.equal(call.signal.reason, reason);
});

test("race gives what comes first", async () => {
  const call = context();
  assert.equal(await call.race(Promise.resolve("value")), "value");
  const fault = new Error("fault");
  await assert.rejects(call.race(Promise.reject(fault)), fault);
  call.abort(reason);
  assert.equal(await failure(call.race(never())), reason);
});

test("an outer signal aborts the call, with its reason if that is a ConnectError", () => {
  for (const [why, code] of [
    [new Error("gone"), Code.Canceled],
    [reason, Code.Aborted],
  ] as const) {
    const controller = new AbortController();
    const call = context({ signal: controller.signal });
    assert.equal(call.signal.aborted, false);
    controller.abort(why);
    assert.equal(call.reason?.code, code);
    assert.equal(why === reason ? call.reason : call.reason?.cause, why);
  }
  assert.equal(context({ signal: AbortSignal.abort(reason) }).reason, reason);
});

test("after the end neither deadline nor outer signal is heard, and nothing is left", () => {
  const controller = new AbortController();
  const parent = context();
  const call = context({ signal: controller.signal, parent, timeoutMs: 60_000 });
  call.onAbort(() => assert.fail("ended"));
  call.end();
  controller.abort();
  parent.abort(reason);
  assert.equal(call.reason, undefined);
  call.limit(1);
  call.end();
});

test("a child is aborted with its parent and lives no longer, and does not abort it", () => {
  const parent = context({ timeoutMs: 1_000 });
  const sibling = context({ parent });
  const child = context({ parent, timeoutMs: 60_000 });
  assert.ok((child.timeoutMs() ?? Infinity) <= 1_000);
  sibling.abort(new ConnectError("own", Code.Internal));
  assert.equal(parent.reason, undefined);
  parent.abort(reason);
  assert.equal(child.reason, reason);
  assert.equal(sibling.reason?.code, Code.Internal);
  assert.equal(context({ parent }).reason, reason);
});
