import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { dial } from "../../../src/core/dial.ts";
import type { Connection } from "../../../src/hub/connections/connection.ts";
import { SocketClient, within } from "../websocket/socket-client.ts";
import { followBy, type LiveServers, startLive } from "./live-clients.ts";

async function only({ hub }: LiveServers): Promise<Connection> {
  const [connection] = (await hub.connections()).connections;
  assert.ok(connection !== undefined);
  return connection;
}

/** When the one connection was seen after `before`, which a client that has sent something meanwhile must be. */
async function seenAfter(live: LiveServers, before: Date): Promise<Date> {
  const seen = (async () => {
    for (;;) {
      const { lastSeenAt } = await only(live);
      if (lastSeenAt > before) return lastSeenAt;
      await wait(1);
    }
  })();
  return within(seen, "a later time");
}

test("a WebSocket is seen when it sends a message and when it answers a ping", async () => {
  await using live = await startLive({}, { socketHeartbeatMs: 40 });
  const client = await new SocketClient(`ws://127.0.0.1:${live.httpPort}/ws`).open();
  await live.open(1);
  const { connectedAt, lastSeenAt } = await only(live);
  assert.ok(lastSeenAt >= connectedAt);
  await wait(5);
  client.send(JSON.stringify({ id: 1, method: "tsms.test.v1.FeedService/Follow", message: {} }));
  const afterMessage = await seenAfter(live, lastSeenAt);
  await seenAfter(live, afterMessage); // It sends nothing more of itself.
  client.ws.terminate();
});

test("a stream of gRPC is seen with each message of its client", async () => {
  await using live = await startLive();
  const echo = createClient(EchoService, dial(`127.0.0.1:${live.grpcPort}`));
  let send = (): void => {};
  const replies = echo.chat(
    (async function* () {
      for (let id = 1; id <= 3; id++) {
        yield { text: String(id) };
        await new Promise<void>((resolve) => (send = resolve));
      }
    })(),
  );
  const reading = (async () => {
    for await (const _ of replies);
  })();
  await live.open(1);
  let { lastSeenAt } = await only(live);
  for (let message = 2; message <= 3; message++) {
    await wait(5);
    send();
    lastSeenAt = await seenAfter(live, lastSeenAt);
  }
  send();
  await reading;
  await live.open(0);
});

test("a long poll is seen with each of its requests", async () => {
  await using live = await startLive();
  const client = await followBy["long-poll"]?.(live);
  await live.open(1);
  const { lastSeenAt } = await only(live);
  await wait(5);
  live.feed.publish("one"); // The client asks again when it has it.
  await seenAfter(live, lastSeenAt);
  client?.leave();
});

test("who follows events is seen once, since it sends nothing behind its request", async () => {
  await using live = await startLive();
  const client = await followBy.sse?.(live);
  await live.open(1);
  const { connectedAt, lastSeenAt } = await only(live);
  await wait(5);
  live.feed.publish("one");
  const sent = (async () => {
    while ((await only(live)).sent === 0) await wait(1);
  })();
  await within(sent, "the event");
  assert.deepEqual(await only(live), { ...(await only(live)), connectedAt, lastSeenAt });
  client?.leave();
});
