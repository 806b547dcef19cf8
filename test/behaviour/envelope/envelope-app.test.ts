import assert from "node:assert/strict";
import { test } from "node:test";
import { App } from "../../../src/app/app.ts";
import type { ConfigInit } from "../../../src/core/config/loader/config-types.ts";
import { Echo } from "../../support/echo-service.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { addressOf } from "../app/app-fixture.ts";
import { ask, jsonOf } from "../rpc-protocols/rpc-fixture.ts";
import { client, jwe, server } from "./envelope-fixture.ts";

const content = '{"text":"secret"}';
const path = "/test/v1/echo";

async function load(envelope: NonNullable<ConfigInit["envelope"]>): Promise<App> {
  const overrides: ConfigInit = {
    http: { port: 0 },
    grpc: { port: 0 },
    telemetry: { metrics: { port: "off" }, log: { level: "silent" } },
    envelope,
  };
  const app = await App.load({ argv: [], env: {}, overrides });
  return app.addService(new Echo());
}

test("M6: an app by its configuration, with keys that are exchanged by a reload", async () => {
  await using files = await TemporaryFiles.create();
  const keysFile = await files.write("keys.json", { keys: [server.p256.privateJwk] });
  const encryptTo = await files.write("client.json", client.publicJwk);
  const app = await load({ rpc: ["tsms.test.v1.EchoService/Echo"], keysFile, encryptTo });
  await app.start();
  try {
    const port = Number(new URL(`http://${addressOf(app, "http")}`).port);
    const send = async (body: string, type = "application/jose") =>
      (await ask(port, path, { "content-type": type }, body)).status;
    const [old, fresh] = [await jwe(content, {}, server.p256), await jwe(content, {}, server.x25519)];
    assert.equal(await send(content, "application/json"), 415);
    assert.deepEqual([await send(old), await send(fresh)], [200, 400]);
    const sealed = await ask(port, `${path}/a`, { accept: "application/jose" });
    assert.equal(sealed.headers["content-type"], "application/jose");

    await files.write("keys.json", { keys: [server.p256.privateJwk, server.x25519.privateJwk] });
    await app.reload();
    assert.deepEqual([await send(old), await send(fresh)], [200, 200]);
    await files.write("keys.json", "{");
    await assert.rejects(app.reload(), /this is no JSON/);
    assert.deepEqual([await send(old), await send(fresh)], [200, 200]);
    await files.write("keys.json", { keys: [server.x25519.privateJwk] });
    await app.reload();
    assert.deepEqual([await send(old), await send(fresh)], [400, 200]);
    const answer = await ask(port, path, { "content-type": "application/jose" }, fresh);
    assert.equal(jsonOf(answer)["text"], "secret");
  } finally {
    await app.stop();
  }
});

test("M6: what is wrong with the configuration is named", async () => {
  await using files = await TemporaryFiles.create();
  const keysFile = await files.write("keys.json", { keys: [server.p256.privateJwk] });
  await assert.rejects(load({ rpc: ["tsms.test.v1.*"] }), /envelope\.keys_file: must be set/);
  await assert.rejects(load({ keysFile: `${keysFile}.none` }), /envelope: .*ENOENT/);
  await assert.rejects(load({ keysFile, rpc: ["a b"] }), /envelope: selector "a b"/);
  const app = await load({ keysFile, rpc: ["tsms.test.v1.EchoService/Ecko"] });
  await assert.rejects(app.start(), /envelope\.rpc: no service has the rpc tsms\.test\.v1\.EchoService\.Ecko/);
});
