import { strict as assert } from "node:assert";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { unixPath } from "../../../src/core/net/listen-target.ts";
import { formatAddress, listen, listenError } from "../../../src/core/net/listener.ts";

const host = "127.0.0.1";

test("addresses as people write them", () => {
  assert.equal(formatAddress({ host: "::1", port: 80 }), "[::1]:80");
  assert.equal(formatAddress({ host: "localhost", port: 80 }), "localhost:80");
  assert.equal(formatAddress({ host: "unix:/run/x.sock", port: 0 }), "unix:/run/x.sock");
  assert.equal(unixPath("unix:/run/x.sock"), "/run/x.sock");
  assert.equal(unixPath("unix.example"), undefined);
});

test("errors name server, address and cause", () => {
  const cases: Record<string, string> = {
    EACCES: "GRPC cannot listen on 127.0.0.1:80: permission denied (EACCES)",
    EADDRINUSE: "GRPC cannot listen on 127.0.0.1:80: address already in use (EADDRINUSE)",
    ENOTFOUND: "GRPC cannot listen on 127.0.0.1:80: host name cannot be resolved (ENOTFOUND)",
    EODD: "GRPC cannot listen on 127.0.0.1:80: odd (EODD)",
  };
  for (const [code, message] of Object.entries(cases)) {
    const cause = Object.assign(new Error("odd"), { code });
    assert.equal(listenError("GRPC", { host, port: 80 }, cause).message, message);
  }
  assert.match(listenError("X", { host, port: 1 }, new Error("odd")).message, /: odd$/);
});

test("an abort while binding leaves nothing bound", async () => {
  const stop = new AbortController();
  let connections = 0;
  const binding = listen({
    name: "X",
    host,
    port: 0,
    signal: stop.signal,
    onConnection: () => connections++,
  });
  stop.abort(new Error("enough"));
  await assert.rejects(binding, { message: "enough" });
  const late = listen({ name: "X", host, port: 0, signal: stop.signal, onConnection: () => connections++ });
  await assert.rejects(late, { message: "enough" });
  assert.equal(connections, 0);
});

test("an abort after binding changes nothing", async () => {
  const stop = new AbortController();
  const listener = await listen({ name: "X", host, port: 0, signal: stop.signal, onConnection: () => {} });
  stop.abort();
  const socket = connect(listener.address.port, host);
  await once(socket, "connect");
  socket.destroy();
  listener.close();
  listener.destroy();
});

test("close keeps connections, disconnected waits for them, destroy cuts them", async () => {
  const accepted: Socket[] = [];
  const listener = await listen({
    name: "X",
    host,
    port: 0,
    onConnection: (socket) => accepted.push(socket),
  });
  const socket = connect(listener.address.port, host);
  socket.on("error", () => {});
  await once(socket, "connect");
  while (accepted.length === 0) await new Promise((resolve) => setImmediate(resolve));
  listener.close();
  await listener.disconnected(50);
  assert.equal(listener.connections, 1);
  const gone = listener.disconnected(10_000);
  listener.destroy();
  await gone;
  assert.equal(listener.connections, 0);
  socket.destroy();
});
