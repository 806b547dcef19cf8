import assert from "node:assert/strict";
import { test } from "node:test";
import { startGateway } from "../../support/gateway-fixture.ts";
import { SocketClient, within } from "./socket-client.ts";

const service = "tsms.test.v1.EchoService";

test("Z05: sockets without calls close with 1001 at once, those with calls when these have ended", async () => {
  await using gateway = await startGateway();
  const url = `ws://127.0.0.1:${gateway.port}`;
  const idle = await new SocketClient(`${url}/ws`).open();
  const waiting = await new SocketClient(`${url}/test/v1/chat?$headers=frame`).open();
  const busy = await new SocketClient(`${url}/ws`).open();
  busy.send(`{"id":1,"method":"${service}/Chat","message":{}}`);
  await busy.json();
  const route = await new SocketClient(`${url}/test/v1/chat`).open();
  route.send("{}");
  await route.json();

  const stopping = gateway.http.gracefulStop({ graceMs: 20_000 });
  assert.equal((await within(idle.closed, "the close")).code, 1001);
  assert.equal((await within(waiting.closed, "the close")).code, 1001);
  busy.send(`{"id":2,"method":"${service}/Echo","message":{}}`);
  const refused = await busy.json();
  assert.deepEqual([refused["id"], (refused["status"] as { code: number }).code], [2, 14]);
  busy.send('{"id":1,"message":{"text":"still"}}');
  assert.equal(((await busy.json())["message"] as { text: string }).text, "still");
  busy.send('{"id":1,"end":true}');
  assert.equal(((await busy.json())["status"] as { code: number }).code, 0);
  assert.equal((await within(busy.closed, "the close")).code, 1001);
  route.send("");
  assert.deepEqual(await route.end(), { status: 0, message: "", code: 1000 });
  assert.deepEqual(await stopping, { finished: 2, notified: [], cut: [] });
});

test("Z05: streams that outlive the grace end with UNAVAILABLE, their sockets with 1001", async () => {
  await using gateway = await startGateway();
  const url = `ws://127.0.0.1:${gateway.port}`;
  const route = await new SocketClient(`${url}/test/v1/chat`).open();
  route.send("{}");
  await route.json();
  const many = await new SocketClient(`${url}/ws`).open();
  many.send(`{"id":1,"method":"${service}/Chat","message":{}}`);
  await many.json();
  const report = await gateway.http.gracefulStop({ graceMs: 2000 });
  assert.deepEqual(report, { finished: 0, notified: [`${service}/Chat`, `${service}/Chat`], cut: [] });
  assert.deepEqual(await route.end(), { status: 14, message: "the server is shutting down", code: 1001 });
  assert.equal(((await many.json())["status"] as { code: number }).code, 14);
  assert.equal((await within(many.closed, "the close")).code, 1001);
  assert.equal(gateway.echo.aborted, 2);
});

test("Z05: a client that does not close cannot hold the stop up", async () => {
  await using gateway = await startGateway();
  const client = await new SocketClient(`ws://127.0.0.1:${gateway.port}/ws`).open();
  client.ws.pause();
  await within(gateway.http.gracefulStop({ graceMs: 100 }), "the stop", 5000);
  client.ws.terminate();
});
