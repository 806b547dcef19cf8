import assert from "node:assert/strict";
import { test } from "node:test";
import { noRank, rankOf } from "../../../src/gateway/http/accept.ts";
import { weightedList } from "../../../src/gateway/http/weighted-list.ts";

test("a media type has the rank of its most specific range", () => {
  const ranges = weightedList("*/*;q=0.1, a/*;q=0.2, a/b;q=0.3, c/d;q=0");
  assert.deepEqual(rankOf(ranges, "a/b"), { quality: 0.3, exactness: 2, index: 2 });
  assert.deepEqual(rankOf(ranges, "a/c"), { quality: 0.2, exactness: 1, index: 1 });
  assert.deepEqual(rankOf(ranges, "x/y"), { quality: 0.1, exactness: 0, index: 0 });
  assert.deepEqual(rankOf(ranges, "c/d"), { quality: 0, exactness: 2, index: 3 });
  assert.equal(rankOf(weightedList("a/b"), "c/d"), noRank);
});
