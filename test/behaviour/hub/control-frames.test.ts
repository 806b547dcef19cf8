/** Rule 32: control frames wait behind no message of a room, and a reset stands where the loss is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { openStream } from "../streams/stream-client.ts";
import { SocketClient, within } from "../websocket/socket-client.ts";
import { startKept } from "./kept-rooms.ts";

const follow = { method: "tsms.test.v1.LiveService/FollowRooms", message: { rooms: ["a"] }, end: true };
/** More than the kernel keeps for a connection whose client does not read. */
const count = 400;
const text = "x".repeat(64_000);

interface Frame {
  readonly message?: { readonly text: string; readonly key: string };
}

/** A client that has not read what its room has, all of which is in the ring. */
async function behind(ringMessages: number) {
  const node = await startKept({
    hub: { maxMessageBytes: 100_000, drain: { perSecond: 0.2, maxMs: 12_000 } },
    kept: {
      ring: { size: ringMessages, bytes: 256 * 1024 ** 2 },
      history: { size: 1, ttlMs: 60_000, bytes: 100_000 },
    },
    http: { socketHeartbeatMs: 500 },
  });
  const first = await openStream(`${node.url}/test/v1/kept?rooms=b`, {
    headers: { accept: "text/event-stream" },
  });
  await first.until((so) => so.includes("id: ")); // When the server stops, this one ends at once.
  const client = await new SocketClient(`${node.url.replace("http", "ws")}/ws`).open();
  client.send(JSON.stringify({ hello: {} }), JSON.stringify({ id: 1, ...follow }));
  await client.json();
  const seen: (number | string)[] = [];
  client.ws.on("message", (data: Buffer) => {
    const { message, ...other } = JSON.parse(data.toString()) as Frame;
    seen.push(message === undefined ? Object.keys(other).join() : Number(message.key));
  });
  client.ws.on("pong", () => seen.push("pong"));
  client.ws.pause();
  for (let number = 1; number <= count; number++) {
    await node.kept.publish("a", { text, key: String(number) }, { history: false });
  }
  const connection = (await node.hub.connections({ doors: ["websocket"] })).connections[0];
  assert.ok((connection?.lagMs ?? 0) > 0);
  return { node, client, seen };
}

/** Resolves as soon as something has come. */
async function until(isThere: () => boolean): Promise<void> {
  const reached = (async () => {
    while (!isThere()) await wait(5);
  })();
  await within(reached, "the frame");
}

test("rule 32: pongs and goaway pass what waits in a room", async () => {
  const { node, client, seen } = await behind(2 * count);
  await using _ = node;
  client.ws.ping();
  const stopping = node.http.gracefulStop({ graceMs: 15_000 });
  await wait(100); // Both are on their way.
  client.ws.resume();
  await until(() => seen.includes("pong") && seen.includes("goaway"));
  for (const frame of ["pong", "goaway"]) {
    const before = seen.indexOf(frame);
    assert.ok(before < count - 100, `${frame} behind ${before} messages of ${count}`);
  }
  client.ws.close();
  await stopping;
});

test("rule 32: a client that reads late, and answers pings then, is alive and gets everything in order", async () => {
  const { node, client, seen } = await behind(2 * count);
  await using _ = node;
  await wait(400); // Several times the heartbeat.
  client.ws.resume();
  await until(() => seen.at(-1) === count);
  assert.deepEqual(
    seen,
    Array.from({ length: count }, (_number, at) => at + 1),
  );
  client.ws.close();
});
