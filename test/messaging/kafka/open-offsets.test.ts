import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { OpenOffsets, settledBehind } from "../../../src/messaging/kafka/open-offsets.ts";

function begun(from: number, offsets: readonly number[]) {
  const open = new OpenOffsets(from);
  const entries = new Map(offsets.map((offset) => [offset, { offset, isDone: false }]));
  for (const entry of entries.values()) open.add(entry);
  const settle = (offset: number): void => {
    const entry = entries.get(offset);
    assert.ok(entry !== undefined);
    open.settle(entry);
  };
  return { open, settle };
}

suite("20 the offset that Kafka keeps of a group", () => {
  test("is the first one that is not settled", () => {
    const { open, settle } = begun(5, [5, 6, 9]);
    assert.equal(open.floor, 5);
    settle(6);
    assert.equal(open.floor, 5);
    settle(5);
    assert.equal(open.floor, 9);
    settle(9);
    assert.equal(open.floor, 10);
    assert.equal(open.unsettled, 0);
  });

  test("has with it what is settled behind it, which is not handled again", () => {
    const offsets = Array.from({ length: 300 }, (_, i) => 1_000 + i);
    const { open, settle } = begun(1_000, offsets);
    const done = offsets.filter((offset) => offset % 3 === 0);
    for (const offset of done.toReversed()) settle(offset);
    assert.equal(open.floor, 1_000);
    assert.equal(open.unsettled, 200);
    assert.deepEqual([...settledBehind(open.floor, open.metadata)], done);
    const again = new OpenOffsets(1_000);
    for (const offset of offsets) again.add({ offset, isDone: done.includes(offset) });
    assert.equal(again.metadata, open.metadata);
  });

  test("is little text for the furthest that a reader may be ahead", () => {
    const { open, settle } = begun(0, [0, 15_999]);
    settle(15_999);
    assert.ok(open.metadata.length < 4_096, String(open.metadata.length));
  });

  test("passes what is no message, such as the ends of transactions", () => {
    const { open, settle } = begun(0, [0]);
    open.passed(4);
    assert.equal(open.floor, 0);
    settle(0);
    assert.equal(open.floor, 4);
    assert.equal(open.metadata, "");
  });

  test("is read where other clients have committed", () => {
    for (const metadata of ["", "by hand", "ts-ms:"]) assert.deepEqual([...settledBehind(7, metadata)], []);
  });
});
