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
