import assert from "node:assert/strict";
import { test } from "node:test";
import { RetryTokens } from "../../../src/core/resilience/retry-tokens.ts";

test("further attempts need more than half of the tokens (gRFC A6)", () => {
  const tokens = new RetryTokens({ maxTokens: 10, tokenRatio: 0.1 });
  for (let failed = 0; failed < 4; failed++) tokens.failed();
  assert.deepEqual([tokens.tokens, tokens.take()], [6, true]);
  tokens.failed();
  assert.deepEqual([tokens.tokens, tokens.take()], [5, false]);
  tokens.succeeded();
  assert.deepEqual([tokens.tokens, tokens.take()], [5.1, true]);
  for (let failed = 0; failed < 20; failed++) tokens.failed();
  assert.equal(tokens.tokens, 0);
  for (let good = 0; good < 200; good++) tokens.succeeded();
  assert.equal(tokens.tokens, 10);
});
