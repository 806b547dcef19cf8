import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { App } from "../../src/app/app.ts";
import type { ConfigInit } from "../../src/core/config/loader/config-types.ts";
import { Echo } from "../support/echo-service.ts";
import { run } from "../support/program.ts";
import { TemporaryFiles } from "../support/temporary-files.ts";
import { addressOf } from "../behaviour/app/app-fixture.ts";
import { ask, jsonOf } from "../behaviour/rpc-protocols/rpc-fixture.ts";
import { client, jwe, server } from "../behaviour/envelope/envelope-fixture.ts";

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

test("M6: an app by its configuration, with keys that are exchanged", async () => {
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

    const becomes = async (...statuses: readonly number[]): Promise<void> => {
      const endMs = performance.now() + 10_000;
      let now: readonly number[] = [];
      while (performance.now() < endMs && now.join() !== statuses.join()) {
        await wait(50);
        now = [await send(old), await send(fresh)];
      }
      assert.deepEqual(now, statuses);
    };
    await files.write("keys.json", { keys: [server.p256.privateJwk, server.x25519.privateJwk] });
    await becomes(200, 200);
    await files.write("keys.json", "{");
    await files.write("keys.json", { keys: [server.x25519.privateJwk] });
    await becomes(400, 200);
    const answer = await ask(port, path, { "content-type": "application/jose" }, fresh);
    assert.equal(jsonOf(answer)["text"], "secret");
  } finally {
    await app.stop();
  }
});

const key = JSON.stringify({ keys: [server.p256.privateJwk] });
const mistakes: readonly (readonly [string, string, RegExp])[] = [
  ["rpc: [library.v1.*]", key, /envelope\.keys_file: must be set/],
  ["keys_file: KEYS", "{", /envelope: .*keys\.json: this is no JSON/],
  ["keys_file: KEYS\n  rpc: [a b]", key, /envelope: selector "a b"/],
  ["keys_file: KEYS\n  rpc: [library.v1.LibraryService/Nothing]", key, /no service has the rpc library\.v1/],
];
for (const [section, keys, expected] of mistakes) {
  test(`M6: a mistake of the configuration ends the start: ${section}`, async () => {
    await using files = await TemporaryFiles.create();
    const keysFile = await files.write("keys.json", keys);
    const config = await files.write("config.yaml", `envelope:\n  ${section.replace("KEYS", keysFile)}\n`);
    const node = process.execPath;
    const { code, stderr } = await run(node, "examples/app.ts", "--config", config, "--check-config");
    assert.equal(code, 2, stderr);
    assert.match(stderr, expected);
  });
}
