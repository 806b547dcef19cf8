import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { SharedBytes } from "../../../src/core/wire/shared-bytes.ts";

const of = (text: string): SharedBytes => SharedBytes.of(Buffer.from(text));

test("what is sent in one order is joined once for all, until the end of the turn", async () => {
  const [a, b, c] = [of("a"), of("bé"), of("")];
  const joined = a.followedBy(b).followedBy(c).followedBy(a);
  assert.equal(joined, a.followedBy(b).followedBy(c).followedBy(a));
  assert.equal(joined.bytes, joined.bytes);
  assert.equal(joined.bytes.toString(), "abéa");
  assert.equal(joined.length, 5);
  await nextTurn();
  assert.notEqual(a.followedBy(b), joined, "nothing is kept as long as the first bytes are");
  assert.equal(joined.bytes.toString(), "abéa");
});

test("other orders are joined by themselves, and what is joined already is used", () => {
  const [a, b] = [of("1"), of("2")];
  const ab = a.followedBy(b);
  assert.equal(ab.bytes.toString(), "12");
  assert.equal(b.followedBy(a).bytes.toString(), "21");
  assert.equal(a.followedBy(a).bytes.toString(), "11");
  assert.equal(ab.followedBy(ab).bytes.toString(), "1212");
  assert.equal(ab.followedBy(b).followedBy(a).bytes.toString(), "1221");
});

test("what is made of bytes is made once in a turn for each way of making", async () => {
  let count = 0;
  const upper = (bytes: Buffer): Buffer => {
    count++;
    return Buffer.from(bytes.toString().toUpperCase());
  };
  const bytes = of("a").followedBy(of("b"));
  assert.equal(bytes.made(upper).toString(), "AB");
  assert.equal(bytes.made(upper), bytes.made(upper));
  assert.equal(count, 1);
  assert.equal(
    bytes.made((plain) => plain),
    bytes.bytes,
  );
  await nextTurn();
  assert.equal(bytes.made(upper).toString(), "AB");
  assert.equal(count, 2);
});
