import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { within } from "../websocket/socket-client.ts";
import { members, startTopics } from "./topic-servers.ts";

test("rule 34: a batch leaves as one write for each member, still one event each", async () => {
  await using servers = await startTopics({}, { batch: { delayMs: 60_000, max: 3 } });
  const socket = connect(servers.httpPort, "127.0.0.1");
  socket.write("GET /test/v1/live/t/r HTTP/1.1\r\nhost: a\r\naccept: text/event-stream\r\n\r\n");
  await once(socket, "data"); // The head.
  await members(servers.hub, 1);
  const writes: string[] = [];
  const all = Promise.withResolvers<void>();
  socket.on("data", (data) => {
    writes.push(String(data));
    if (writes.join("").includes("three")) all.resolve();
  });
  for (const text of ["one", "two", "three"]) {
    await servers.room.publish("t.r", { text });
    await new Promise(setImmediate);
  }
  await within(all.promise, "the batch");
  socket.destroy();
  assert.equal(writes.filter((text) => text.includes("data: ")).length, 1, "one write");
  assert.deepEqual(
    [...writes.join("").matchAll(/^data: .*"(one|two|three)"/gm)].map(([, text]) => text),
    ["one", "two", "three"],
  );
});

test("rule 34: what one turn publishes is sent to all members in its order, and receipts count it", async () => {
  await using servers = await startTopics();
  const socket = connect(servers.httpPort, "127.0.0.1");
  socket.write("GET /test/v1/live/t/r HTTP/1.1\r\nhost: a\r\naccept: text/event-stream\r\n\r\n");
  await once(socket, "data"); // The head.
  await members(servers.hub, 1);
  const texts = Array.from({ length: 100 }, (_, i) => `line ${i}`);
  let got = "";
  const large = Promise.withResolvers<void>();
  const all = Promise.withResolvers<void>();
  socket.on("data", (data) => {
    got += String(data);
    if (got.length > 210_000) large.resolve();
    if (got.includes("the last")) all.resolve();
  });
  const receipts = await Promise.all(texts.map((text) => servers.room.publish("t.r", { text })));
  for (const receipt of receipts) assert.deepEqual([receipt.members, receipt.sent], [1, 1]);
  // Each is more than a connection takes at once.
  const behind = await Promise.all(
    [1, 2, 3].map(() => servers.room.publish("t.r", { text: "x".repeat(70_000) })),
  );
  assert.deepEqual(
    behind.map(({ members: count, sent, lagging }) => [count, sent, lagging]),
    [
      [1, 1, 0],
      [1, 0, 1],
      [1, 0, 1],
    ],
    "it reads them on when its connection takes more",
  );
  await within(large.promise, "those that are large");
  await Promise.all([
    servers.room.publish("t.r", { text: "a" }),
    servers.room.publish("t.r", { text: "the last" }), // It is before the end of its connection.
    servers.hub.close({ everybody: true }, { reconnect: false }),
  ]);
  await within(all.promise, "all of them");
  socket.destroy();
  assert.deepEqual(
    [...got.matchAll(/line \d+/g)].map(([text]) => text),
    texts,
  );
});
