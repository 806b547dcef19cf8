import assert from "node:assert/strict";
import { test } from "node:test";
import { isRequestId, newRequestId, requestId, RequestIds } from "../../../src/core/metadata/request-id.ts";
import { propagate } from "../../../src/core/metadata/propagate.ts";
import { CallContext } from "../../../src/core/call/context.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";

const uuid7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test("a new id is a UUID of version 7 with the time, and no two are the same", () => {
  const before = Date.now();
  const ids = Array.from({ length: 5_000 }, newRequestId);
  const after = Date.now();
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) {
    assert.match(id, uuid7);
    const time = Number.parseInt(id.slice(0, 13).replace("-", ""), 16);
    assert.ok(before <= time && time <= after);
  }
});

test("an id is 1 to 128 letters, digits, dots, underscores, colons and hyphens", () => {
  for (const good of ["a", "A-1_b.c:d", "x".repeat(128)]) assert.ok(isRequestId(good), good);
  const bad = ["", "a b", "ä", "a\n", "a,b", "x".repeat(129), '"', undefined, ["a"]];
  for (const text of bad) assert.ok(!isRequestId(text), JSON.stringify(text));
});

test("whose ids are taken", () => {
  const [yes, no] = [() => true, () => false];
  assert.equal(new RequestIds("any").of("abc", no), "abc");
  assert.equal(new RequestIds("trusted").of("abc", yes), "abc");
  assert.match(new RequestIds("trusted").of("abc", no), uuid7);
  assert.match(new RequestIds("never").of("abc", yes), uuid7);
  assert.match(new RequestIds("any").of("a b", yes), uuid7);
});

function call(headers: Record<string, string>, given?: string): CallContext {
  return new CallContext({
    method: EchoService.method.echo,
    protocolName: "rest",
    requestHeader: () => new Headers(headers),
    requestId: given,
  });
}

test("a call has one id: in its headers, in calls that it makes, and in its inner contexts", () => {
  for (const context of [
    call({}),
    call({ "x-request-id": "no good one" }),
    call({ "x-request-id": "abc" }, "given"),
  ]) {
    const id = requestId(context);
    assert.equal(context.requestHeader.get("x-request-id"), id);
    const headers: unknown = Reflect.get(propagate(context), "headers");
    assert.ok(headers instanceof Headers);
    assert.equal(headers.get("x-request-id"), id);
    const { method, protocolName, requestHeader } = context;
    const inner = new CallContext({ method, protocolName, requestHeader, parent: context });
    assert.equal(requestId(inner), id);
  }
  assert.equal(requestId(call({ "x-request-id": "abc" }, "given")), "given");
  assert.equal(requestId(call({ "x-request-id": "abc" })), "abc");
});

test("a hop that only writes headers gets the id that was given in place of the client's", () => {
  const context = new CallContext({
    method: EchoService.method.echo,
    protocolName: "rest",
    requestHeader: {
      toHeaders: () => assert.fail("headers were made"),
      each(take) {
        take("x-request-id", "abc");
        take("x-other", "o");
      },
    },
    requestId: "given",
  });
  const taken: string[] = [];
  context.eachRequestHeader((name, value) => void taken.push(`${name}=${value}`));
  assert.deepEqual(taken, ["x-other=o", "x-request-id=given"]);
});
