import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { ChangeFeed } from "../../../src/services/library/change-feed.ts";

test("items come in order, before and after the reader waits, until the end", async () => {
  const feed = new ChangeFeed<number>(2);
  feed.push(1);
  const items = feed.read();
  assert.deepEqual(await items.next(), { done: false, value: 1 });
  const waiting = items.next();
  feed.push(2);
  assert.deepEqual(await waiting, { done: false, value: 2 });
  feed.push(3);
  feed.close();
  feed.push(4);
  assert.deepEqual(await items.next(), { done: false, value: 3 });
  assert.equal((await items.next()).done, true);
});

test("a reader who falls behind gets what fitted, then RESOURCE_EXHAUSTED", async () => {
  const feed = new ChangeFeed<number>(2);
  for (const item of [1, 2, 3, 4]) feed.push(item);
  const seen: number[] = [];
  await assert.rejects(
    async () => {
      for await (const item of feed.read()) seen.push(item);
    },
    (error: unknown) => error instanceof ConnectError && error.code === Code.ResourceExhausted,
  );
  assert.deepEqual(seen, [1, 2]);
});
