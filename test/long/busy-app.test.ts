import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Agent, request, type IncomingMessage } from "node:http";
import { connect } from "node:http2";
import { text } from "node:stream/consumers";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Program } from "../support/program.ts";

async function start(t: TestContext): Promise<{ readonly address: string; readonly app: Program }> {
  const app = new Program(
    "test/long/fixtures/busy-app.ts",
    ...["--http-port=0", "--set", "grpc.enabled=false", "--exporter-port=off", "--log-level=silent"],
  );
  t.after(() => app[Symbol.asyncDispose]());
  return { address: await app.address("HTTP"), app };
}

/** The status of a probe; undefined where there is none in time. */
async function probe(url: string, timeoutMs: number): Promise<number | undefined> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(timeoutMs) })).status;
  } catch {
    return undefined;
  }
}

test("O04 a handler blocks the event loop for 3 s: connections stay, and all is as before", async (t) => {
  const { address } = await start(t);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const ask = async (path: string): Promise<{ readonly status: number; readonly port: number }> => {
    const sent = request(`http://${address}${path}`, { agent }).end();
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    const port = response.socket.localPort ?? 0;
    await text(response);
    return { status: response.statusCode ?? 0, port };
  };
  const session = connect(`http://${address}`);
  t.after(() => session.destroy());
  const overHttp2 = async (): Promise<unknown> => {
    const stream = session.request({ ":path": "/livez" });
    const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
    stream.resume();
    await once(stream, "close");
    return headers[":status"];
  };
  const socket = new WebSocket(`ws://${address}/ws`);
  await once(socket, "open");
  const before = await ask("/readyz");
  assert.equal(before.status, 200);
  assert.equal(await overHttp2(), 200);

  const blocked = fetch(`http://${address}/test/v1/echo/block`);
  await delay(300);
  assert.equal(await probe(`http://${address}/readyz`, 1_000), undefined, "not ready");
  assert.equal(await probe(`http://${address}/livez`, 20_000), 200, "alive");
  assert.equal((await blocked).status, 200);

  assert.deepEqual(await ask("/readyz"), before, "ready again, over the same connection");
  assert.equal(await overHttp2(), 200);
  assert.equal(socket.readyState, WebSocket.OPEN);
  socket.close();
  await once(socket, "close");
});

test("O09 200 calls of almost 4 MiB at the same time are served or refused, in bounded memory", async (t) => {
  const { address, app } = await start(t);
  const calls = 200;
  const bytes = 4 * 2 ** 20 - 1_000;
  const body = JSON.stringify({ text: "x".repeat(bytes) });
  const call = async (): Promise<number> => {
    const headers = { "content-type": "application/json" };
    const response = await fetch(`http://${address}/test/v1/echo`, { method: "POST", headers, body });
    await response.arrayBuffer();
    return response.status;
  };
  // A call that is refused while its body comes closes its connection: `fetch` may see that before the answer.
  const statuses = await Promise.all(Array.from({ length: calls }, () => call().catch(() => "closed")));
  const [, most = ""] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${app.pid}/status`, "utf8")) ?? [];
  t.diagnostic(`${statuses.filter((status) => status === 200).length} served, at most ${most} kB resident`);
  const served = new Set<number | string>([200, 408, 503, "closed"]);
  assert.deepEqual(
    statuses.filter((status) => !served.has(status)),
    [],
  );
  assert.ok(statuses.includes(200));
  assert.ok(Number(most) * 1024 < calls * bytes * 3, `${most} kB`);
  assert.equal(await probe(`http://${address}/livez`, 20_000), 200);
});
