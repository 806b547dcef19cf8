import assert from "node:assert/strict";
import { test } from "node:test";
import {
  readHeaders,
  readHeadersFrame,
  extractTargetHeaders,
  withHeaders,
} from "../../../src/gateway/http/socket-headers.ts";

for (const [target, url, headers, inFrame] of [
  ["/a", "/a", {}, false],
  ["/a?b=1", "/a?b=1", {}, false],
  ["/a?$header.x=1", "/a", { x: "1" }, false],
  ["/a?b=%31&$header.x=1&c", "/a?b=%31&c", { x: "1" }, false],
  ["/a?%24header.X-Y=a%20b+c&$HEADER.z=1", "/a?$HEADER.z=1", { "x-y": "a b c" }, false],
  ["/a?%24%68eader.x=1", "/a?%24%68eader.x=1", {}, false],
  ["/a?$headers=frame&$header.a=", "/a", { a: "" }, true],
  ["/a?$headerx=1", "/a?$headerx=1", {}, false],
  ["/a?b=$header.x=1", "/a?b=$header.x=1", {}, false],
] as const) {
  test(`the headers in ${target}`, () => {
    assert.deepEqual(extractTargetHeaders(target), { url, headers, inFrame, problem: undefined });
  });
}

for (const target of [
  "/a?$header.x=%f",
  "/a?$header.=1",
  "/a?$header.a:b=1",
  "/a?$header.authorization=Bearer%20t%0A",
  "/a?$header.x=%00",
  "/a?$header.x=%C3%A9",
  "/a?$header.x=a%09b",
  "/a?$header.x=1&$header.X=2",
  "/a?$headers=1",
  "/a?$headers",
]) {
  test(`${target} is refused, and its parameters are taken out all the same`, () => {
    const { url, problem } = extractTargetHeaders(target);
    assert.equal(problem?.status, 400);
    assert.equal(url, "/a");
  });
}

test("a header that cannot be one is told by its name, never by its value", () => {
  const { problem } = extractTargetHeaders("/a?$header.authorization=Bearer%20secret%0D%0Ax:1");
  assert.match(problem?.rawMessage ?? "", /the value of the header authorization has characters/);
  assert.doesNotMatch(problem?.rawMessage ?? "", /secret/);
  const twice = () => readHeaders({ "X-A": "1", "x-a": "2" });
  assert.throws(twice, /the header x-a is given twice/);
  for (const value of ["a\nb", "é", "\0", "a\tb", "\u007f"]) {
    assert.throws(() => readHeadersFrame(JSON.stringify({ headers: { x: value } })), /value of the header x/);
  }
});

test("the head of the handshake wins, then what comes last", () => {
  const head = { authorization: "a" };
  assert.equal(withHeaders(head), head);
  assert.deepEqual(withHeaders(head, { authorization: "b", x: "1", y: "1" }, { x: "2" }), {
    authorization: "a",
    x: "2",
    y: "1",
  });
});
