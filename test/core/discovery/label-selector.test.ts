import assert from "node:assert/strict";
import { test } from "node:test";
import { checkLabelSelector } from "../../../src/core/discovery/kubernetes/label-selector.ts";

// As the Kubernetes documentation has them (Labels and Selectors), and its own tests of `labels.Parse`.
test("label selectors of Kubernetes are taken", () => {
  for (const text of [
    "",
    "ts-ms=true",
    "environment = production,tier!=frontend",
    "environment in (production, qa),tier notin (frontend, backend)",
    "partition",
    "!partition",
    "partition in (customerA, customerB),environment!=qa",
    "app.kubernetes.io/name==users",
    "x in (),y",
    "x=,z= ",
    "x>1,x<10",
  ]) {
    assert.doesNotThrow(() => checkLabelSelector(text), text);
  }
});

test("what is no label selector is refused by its text", () => {
  for (const text of [
    "app in users",
    "app=a b",
    "=a",
    ",",
    "a,,b",
    "app in (a",
    "-a=b",
    "a=b-",
    "app notin",
    "x=a||b",
  ]) {
    assert.throws(
      () => checkLabelSelector(text),
      {
        name: "TypeError",
        message: `"${text}" is no label selector of Kubernetes, such as ts-ms=true or app in (users, orders)`,
      },
      text,
    );
  }
});
