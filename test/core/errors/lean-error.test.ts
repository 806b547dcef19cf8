import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { isLean, leanCopy, leanErrors, metadataBefore } from "../../../src/core/errors/lean-error.ts";

const cancelled = leanErrors("the client cancelled the call", Code.Canceled);

test("a lean error is a ConnectError, with metadata of its own and without a stack", () => {
  const error = cancelled();
  assert.ok(error instanceof ConnectError && Object.prototype.toString.call(error) === "[object Error]");
  const usual = new ConnectError("the client cancelled the call", Code.Canceled);
  for (const name of ["name", "message", "rawMessage", "code", "details", "cause"] as const)
    assert.deepEqual(error[name], usual[name], name);
  assert.ok(isLean(error) && !isLean(usual));
  assert.doesNotMatch(error.stack ?? "", /\n *at /);
  assert.match(new Error("later").stack ?? "", /\n *at /, "other errors have theirs");
  assert.equal(metadataBefore(error), undefined);
  error.metadata.set("a", "1");
  assert.equal(metadataBefore(error)?.get("a"), "1");
  assert.deepEqual([...cancelled().metadata], [], "no other error has it");
});

test("a copy has the metadata of its error and what is added, when they are read", () => {
  const error = new ConnectError("not here", Code.NotFound, { a: "1" });
  error.details.push({ type: "x", value: new Uint8Array() });
  let reads = 0;
  const copy = leanCopy(error, (add) => {
    reads++;
    add("b", "2");
  });
  assert.equal(reads, 0);
  assert.deepEqual([...(metadataBefore(copy) ?? [])], [["a", "1"]]);
  assert.equal(copy.details, error.details);
  assert.equal(copy.message, error.message);
  assert.deepEqual(
    [...copy.metadata],
    [
      ["a", "1"],
      ["b", "2"],
    ],
  );
  copy.metadata.set("c", "3");
  assert.equal(copy.metadata.get("c"), "3");
  assert.equal(reads, 1);
  assert.equal(error.metadata.get("b"), null, "the error stays as it was");
  const second = leanCopy(
    leanCopy(cancelled(), () => {}),
    (add) => add("d", "4"),
  );
  assert.equal(metadataBefore(second), undefined);
  assert.deepEqual([...second.metadata], [["d", "4"]]);
});
