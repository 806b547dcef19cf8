import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Files } from "../../../support/files-service.ts";
import { connectTo, startGateway } from "../../../support/gateway-fixture.ts";

const size = 50 * 1024 * 1024;

test(
  "H14: a whole answer of 50 MiB that nobody reads loses its connection",
  { timeout: 60_000 },
  async () => {
    const files = new Files();
    files.files.set("big", { contentType: "a/b", data: new Uint8Array(size) });
    const ended = Promise.withResolvers<number>();
    const options = {
      writeIdleMs: 500,
      connectionsCheckingIntervalMs: 50,
      httpObservers: [
        { httpRequest: (_route: string, _method: string, status: number) => ended.resolve(status) },
      ],
    };
    await using gateway = await startGateway(options, [files]);
    const socket = await connectTo(gateway.port);
    socket.pause().on("error", () => {});
    socket.write("GET /test/v1/files/big HTTP/1.1\r\nhost: a\r\n\r\n");
    await files.until((all) => all.lastHeader !== undefined);
    assert.equal(await ended.promise, 499);
    const closed = once(socket, "close");
    socket.resume();
    await closed;
    assert.ok(socket.bytesRead < size);
    await gateway.stillServes();
  },
);

test("a client that reads slowly but always keeps its connection", { timeout: 60_000 }, async () => {
  const files = new Files();
  files.files.set("big", { contentType: "a/b", data: new Uint8Array(size) });
  await using gateway = await startGateway({ writeIdleMs: 1500, connectionsCheckingIntervalMs: 50 }, [files]);
  const socket = await connectTo(gateway.port);
  socket.write("GET /test/v1/files/big HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
  let read = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    read += chunk.length;
    if (read < 50 * 65_536) await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.ok(read > size);
});
