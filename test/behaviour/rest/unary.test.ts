import assert from "node:assert/strict";
import { test } from "node:test";
import { startGateway } from "../../support/gateway-fixture.ts";

test("a unary call goes from JSON to the handler and back", async () => {
  await using gateway = await startGateway();
  const response = await fetch(`${gateway.url}/test/v1/echo`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ text: "hé", payload: "AAE=", number: "9007199254740993" }),
  });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.partialDeepStrictEqual(await response.json(), {
    text: "hé",
    payload: "AAE=",
    number: "9007199254740993",
    protocol: "rest",
  });
});

test("path variables and query parameters become fields", async () => {
  await using gateway = await startGateway();
  const response = await fetch(`${gateway.url}/test/v1/echo/a%2Fb?number=7`);
  assert.partialDeepStrictEqual(await response.json(), { text: "a/b", number: "7" });
});
