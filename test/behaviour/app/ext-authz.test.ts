import assert from "node:assert/strict";
import { test } from "node:test";
import { curl } from "../../support/program.ts";
import { allowed, startAuthorizer } from "../ext-authz/authorizer.ts";
import { addressOf, loadApp } from "./app-fixture.ts";

test("A2 an app whose calls an authorizer decides stops and starts again as a whole", async (t) => {
  const authorizer = await startAuthorizer(t, () => allowed);
  await using app = await loadApp({ extAuthz: { target: authorizer.address, timeout: "10s" } });
  for (let i = 1; i <= 2; i++) {
    await app.start();
    assert.equal((await curl(`http://${addressOf(app, "http")}/test/v1/echo/a`)).status, 200);
    assert.equal(authorizer.questions.length, i);
    await app.stop();
  }
});
