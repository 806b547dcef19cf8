import assert from "node:assert/strict";
import { test } from "node:test";
import { WaitingPosts } from "../../../src/core/workers/waiting-posts.ts";

interface Post {
  readonly number: number;
  readonly bytes: Uint8Array;
}

function setUp() {
  const sent: number[] = [];
  const written: (() => void)[] = [];
  const posts = new WaitingPosts<Post>(({ number }, done) => {
    sent.push(number);
    written.push(done);
  });
  const add = (number: number, bytes: number): void => posts.add({ number, bytes: new Uint8Array(bytes) });
  return { sent, written, posts, add };
}

test("messages go in their order, 64 KiB at a time", () => {
  const { sent, written, add } = setUp();
  for (let number = 0; number < 4; number++) add(number, 40_000);
  assert.deepEqual(sent, [0, 1]);
  written.shift()?.();
  assert.deepEqual(sent, [0, 1, 2]);
  written.shift()?.();
  written.shift()?.();
  assert.deepEqual(sent, [0, 1, 2, 3]);
});

test("of more than 1 MiB that waits, the oldest go", () => {
  const { sent, written, posts, add } = setUp();
  for (let number = 0; number < 30; number++) add(number, 64 * 1024);
  assert.equal(posts.dropped, 13);
  for (let done = written.shift(); done !== undefined; done = written.shift()) done();
  assert.deepEqual(sent, [0, ...Array.from({ length: 16 }, (_, index) => 14 + index)]);
});
