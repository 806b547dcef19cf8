import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, type ConnectError } from "@connectrpc/connect";
import { MostStreams } from "../../../src/core/admission/most-streams.ts";
import { retryAfterMsOf } from "../../../src/core/errors/retry-info.ts";

test("one stream too many is UNAVAILABLE, with the time after which its client may come again", () => {
  const streams = new MostStreams(1);
  streams.enter();
  assert.throws(
    () => streams.enter(),
    (error: ConnectError) => error.code === Code.Unavailable && retryAfterMsOf(error) === 1_000,
  );
  streams.leave();
  streams.enter();
  assert.equal(streams.open, 1);
  streams.max = 0;
  streams.enter();
  assert.equal(streams.open, 2);
});
