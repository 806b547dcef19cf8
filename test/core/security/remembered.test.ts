import assert from "node:assert/strict";
import { test } from "node:test";
import { RememberedCredentials } from "../../../src/core/security/remembered.ts";
import { remember } from "./remember-token.ts";

test("U7 the oldest of the remembered tokens are forgotten first, and those whose time is over", () => {
  const tokens = new RememberedCredentials(2);
  const [one, two, three] = [1, 2, 3].map((id) => remember(tokens, id, {}));
  assert.ok(one !== undefined && two !== undefined && three !== undefined);
  assert.deepEqual(
    [one, two, three].map((digest) => tokens.get(digest, 0)?.principal.id),
    [undefined, "user-2", "user-3"],
  );
  assert.equal(tokens.get(two, 1_000), undefined);
  assert.equal(tokens.size, 1);
  tokens.clear();
  assert.equal(tokens.size, 0);
});
