import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { FeedService } from "../../../gen/tsms/test/v1/feed_pb.ts";
import type { DoorName } from "../../../src/core/admission/call-head.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { connectionOf, Hub } from "../../../src/hub/hub.ts";
import type { Connection } from "../../../src/hub/connections/connection.ts";
import { SocketClient } from "../websocket/socket-client.ts";
import { followBy, followMany, startLive } from "./live-clients.ts";

const rpc = "tsms.test.v1.FeedService/Follow";

for (const [door, open] of Object.entries(followBy)) {
  test(`a streaming call by ${door} is one connection until its client leaves`, async () => {
    await using live = await startLive({}, { pollIdleMs: 50 });
    const before = new Date();
    const client = await open(live, { "x-member": "ada", "x-plan": "pro", "user-agent": "tests/1" });
    await live.open(1);
    const [found] = (await live.hub.connections()).connections;
    assert.ok(found !== undefined);
    const { id, node, connectedAt, userAgent, ...fields } = found;
    assert.match(id, /^[0-9A-Za-z]{8}-1$/);
    assert.equal(node, live.hub.node);
    assert.ok(connectedAt >= before && connectedAt <= new Date());
    assert.ok(userAgent.length > 0);
    assert.deepEqual(
      { door: fields.door, rpc: fields.rpc, user: fields.user, tags: fields.tags, address: fields.address },
      { door, rpc, user: "ada", tags: { plan: "pro" }, address: "127.0.0.1" },
    );
    assert.deepEqual((await live.hub.connection(id))?.id, id);
    assert.equal(await live.hub.connection(`${node}-2`), undefined);
    client.leave();
    await live.open(0);
    assert.equal(await live.hub.connection(id), undefined);
  });

  test(`a connection by ${door} is closed as its door ends a failed call`, async () => {
    for (const [reconnect, code] of [
      [true, Code.Unavailable],
      [false, Code.PermissionDenied],
    ] as const) {
      await using live = await startLive();
      const client = await open(live, { "x-member": "ada" });
      await live.open(1);
      live.feed.publish("written before");
      const outcome = await live.hub.close({ users: ["ada"] }, { reason: "enough", reconnect });
      assert.deepEqual(outcome, { selected: 1, done: 1, failed: 0, unreachable: [] });
      const ended = await client.ended;
      assert.equal(ended.code, code);
      if (door === "websocket") assert.equal(ended.closeCode, 4000 + code);
      await live.open(0);
    }
  });
}

test("a socket with many calls is one connection, and unary calls are none", async () => {
  await using live = await startLive();
  const client = await followMany(live, 3, { "x-member": "ada" });
  await live.open(1);
  const grpc = dial(`127.0.0.1:${live.grpcPort}`);
  await createClient(EchoService, grpc).echo({ text: "a" });
  assert.equal((await fetch(`http://127.0.0.1:${live.httpPort}/test/v1/echo/a`)).status, 200);
  assert.equal((await live.hub.count()).total, 1);
  client.client.send(
    JSON.stringify({ id: 9, method: "tsms.test.v1.EchoService/Echo", message: { text: "b" } }),
  );
  await client.client.json();
  const [socket] = (await live.hub.connections()).connections;
  assert.equal(socket?.rpc, undefined);
  assert.equal(socket?.user, "ada");
  await live.hub.close({ users: ["ada"] }, { reconnect: false });
  assert.deepEqual(await client.ended, { code: Code.PermissionDenied, closeCode: 4007 });
  const texts = client.client.frames.map(
    ({ data }) => JSON.parse(data.toString()) as { status?: { code: number } },
  );
  assert.equal(texts.filter(({ status }) => status?.code === Code.PermissionDenied).length, 3);
  await live.open(0);
});

test("a socket without calls is a connection, and can be closed", async () => {
  await using live = await startLive();
  const client = await new SocketClient(`ws://127.0.0.1:${live.httpPort}/ws`).open();
  await live.open(1);
  await live.hub.close({ doors: ["websocket"] }, { reason: "enough" });
  assert.deepEqual(await client.closed, { code: 4000 + Code.Unavailable, reason: "enough" });
  await live.open(0);
});

test("behind a gateway of this process there is one connection, over the network one for each process", async () => {
  const inner = new Hub();
  const seen: (Connection | undefined)[] = [];
  const grpc = new GrpcServer({ port: 0, hub: inner }).addService({
    descriptor: FeedService,
    async *follow(_request, context) {
      seen.push(connectionOf(context));
      await new Promise<void>((resolve) => context.signal.addEventListener("abort", () => resolve()));
      yield {};
    },
  });
  await grpc.start();
  const near = new HttpServer({ port: 0, upstream: grpc, headerFlushMs: 0 }).addService(FeedService);
  const outer = new Hub();
  const far = new HttpServer({
    port: 0,
    upstream: `127.0.0.1:${grpc.address?.port}`,
    hub: outer,
    headerFlushMs: 0,
  }).addService(FeedService);
  await Promise.all([near.start(), far.start()]);
  assert.equal(near.hub, inner);
  try {
    const abort = new AbortController();
    const headers = { accept: "text/event-stream" };
    for (const { address } of [near, far]) {
      const url = `http://127.0.0.1:${address?.port}/test/v1/feed`;
      await fetch(url, { headers, signal: abort.signal });
    }
    const doors = async (hub: Hub): Promise<DoorName[]> =>
      (await hub.connections()).connections.map(({ door }) => door);
    while (seen.length < 2) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(await doors(inner), ["sse", "grpc"]);
    assert.deepEqual(await doors(outer), ["sse"]);
    assert.deepEqual(
      seen.map((found) => found?.door),
      ["sse", "grpc"],
    );
    abort.abort();
    while ((await inner.count()).total + (await outer.count()).total > 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    await Promise.all([near, far].map((server) => server.gracefulStop({ graceMs: 0 })));
    await grpc.gracefulStop({ graceMs: 0 });
  }
  assert.throws(() => new HttpServer({ upstream: grpc, hub: outer }), /HttpServer: hub: .* another hub/);
});

test("connections are counted by door, user, node and tag", async () => {
  await using live = await startLive();
  const clients = await Promise.all([
    followBy.sse?.(live, { "x-member": "ada", "x-plan": "pro" }),
    followBy.sse?.(live, { "x-member": "bob" }),
    followBy.grpc?.(live, { "x-member": "ada" }),
    followMany(live, 0),
  ]);
  await live.open(4);
  const { hub } = live;
  const groups = async (by: Parameters<Hub["count"]>[1]) => (await hub.count({}, by)).groups;
  assert.deepEqual(await groups("door"), { sse: 2, grpc: 1, websocket: 1 });
  assert.deepEqual(await groups("user"), { ada: 2, bob: 1, "": 1 });
  assert.deepEqual(await groups("node"), { [hub.node]: 4 });
  assert.deepEqual(await groups("tag:plan"), { pro: 1, free: 2, "": 1 });
  assert.deepEqual(await hub.count({ users: ["ada"], doors: ["sse"] }), {
    total: 1,
    groups: {},
    unreachable: [],
  });
  assert.equal((await hub.count({ tags: { plan: "free" }, except: { users: ["bob"] } })).total, 1);
  assert.equal((await hub.count({ addresses: ["127.0.0.0/8"] })).total, 4);
  assert.equal((await hub.count({ addresses: ["10.0.0.0/8"] })).total, 0);
  assert.equal((await hub.count({ users: [] })).total, 0);
  assert.deepEqual(hub.nodes(), [{ id: hub.node, isLocal: true, connections: 4 }]);
  for (const client of clients) client?.leave();
  await live.open(0);
});

test("limits refuse further connections, at WebSockets before the upgrade, and change no other", async () => {
  await using live = await startLive({ maxConnections: 3, maxPerUser: 2 });
  const { hub, httpPort } = live;
  const reason = async (path: string, headers: Record<string, string>) => {
    const client = new SocketClient(`ws://127.0.0.1:${httpPort}${path}`, [], { headers });
    const { status, body, headers: answered } = await client.refused();
    const { code, details } = JSON.parse(body) as { code: number; details: { reason?: string }[] };
    return { status, code, reason: details[0]?.reason, retry: answered["retry-after"] };
  };
  await followBy.sse?.(live, { "x-member": "ada" });
  await followBy.websocket?.(live, { "x-member": "ada" });
  await live.open(2);
  assert.deepEqual(await reason("/test/v1/feed", { "x-member": "ada" }), {
    status: 429,
    code: Code.ResourceExhausted,
    reason: "MAX_PER_USER",
    retry: undefined,
  });
  const grpc = await followBy.grpc?.(live, { "x-member": "ada" });
  assert.equal((await grpc?.ended)?.code, Code.ResourceExhausted);
  await followBy.ndjson?.(live, { "x-member": "bob" });
  await live.open(3);
  for (const path of ["/test/v1/feed", "/ws"]) {
    const { retry, ...full } = await reason(path, { "x-member": "eve" });
    assert.deepEqual(full, { status: 503, code: Code.Unavailable, reason: "MAX_CONNECTIONS" });
    assert.ok(Number(retry) >= 1 && Number(retry) <= 5, String(retry));
  }
  assert.equal((await hub.count()).total, 3);
  const { totalConnections, activeConnections, refusedConnections } = await hub.statistics();
  assert.deepEqual(
    { totalConnections, activeConnections, refusedConnections },
    {
      totalConnections: 4, // The second socket of ada was known before its user was.
      activeConnections: 3,
      refusedConnections: 4,
    },
  );
});

test("the oldest connection of a user makes room where it is to", async () => {
  await using live = await startLive({ maxPerUser: 1, onUserLimit: "close-oldest" });
  const first = await followBy.sse?.(live, { "x-member": "ada" });
  await live.open(1);
  const second = await followBy.websocket?.(live, { "x-member": "ada" });
  assert.equal((await first?.ended)?.code, Code.PermissionDenied);
  await live.open(1);
  const third = await followMany(live, 1, { "x-member": "ada" });
  assert.equal((await second?.ended)?.closeCode, 4007);
  await live.open(1);
  assert.deepEqual((await live.hub.count({}, "door")).groups, { websocket: 1 });
  third.leave();
});

test("who was closed with refuseMs does not come back within it", async () => {
  await using live = await startLive();
  const closed = live.hub.on("disconnected", () => {});
  const client = await followBy.sse?.(live, { "x-member": "mallory" });
  await live.open(1);
  await live.hub.close({ users: ["mallory"] }, { reason: "banned", reconnect: false, refuseMs: 60_000 });
  assert.equal((await client?.ended)?.code, Code.PermissionDenied);
  const again = await followBy.grpc?.(live, { "x-member": "mallory" });
  assert.equal((await again?.ended)?.code, Code.PermissionDenied);
  const other = await followBy.sse?.(live, { "x-member": "ada" });
  await live.open(1);
  other?.leave();
  closed();
});

test("statistics and events say what connections have done", async () => {
  await using live = await startLive();
  const events: string[] = [];
  live.hub.on("connected", ({ connection }) => void events.push(`+${connection.door}`));
  live.hub.on("disconnected", ({ connection, reason }) => void events.push(`-${connection.door} ${reason}`));
  live.hub.on("connected", () => {
    throw new Error("a listener fails");
  });
  live.feed.publish("one");
  live.feed.publish("two");
  const client = await followBy.sse?.(live);
  await live.open(1);
  while ((await live.hub.statistics()).totalMessages < 2)
    await new Promise((resolve) => setImmediate(resolve));
  const [open] = (await live.hub.connections()).connections;
  assert.equal((await live.hub.statistics()).bytes, open?.bytes, "open ones count");
  assert.equal(open?.sent, 2);
  assert.ok((open?.bytes ?? 0) > 20, String(open?.bytes));
  client?.leave();
  await live.open(0);
  const socket = await followBy.websocket?.(live);
  await live.open(1);
  await live.hub.close({ everybody: true }, { reconnect: true });
  await socket?.ended;
  await live.open(0);
  assert.deepEqual(events, ["+sse", "-sse left", "+websocket", "-websocket closed"]);
  const { doors, totalRequests, failedRequests, totalConnections, averageResponseTimeMs, bytes } =
    await live.hub.statistics();
  assert.ok((doors.sse?.bytes ?? 0) >= (open?.bytes ?? 0) && (doors.websocket?.bytes ?? 0) > 20);
  assert.equal(bytes, (doors.sse?.bytes ?? 0) + (doors.websocket?.bytes ?? 0));
  assert.deepEqual([totalRequests, failedRequests, totalConnections], [2, 1, 2]);
  assert.equal(doors.sse?.totalMessages, 3);
  assert.equal(doors.websocket?.failedRequests, 1);
  assert.ok(averageResponseTimeMs > 0);
  const page = new Map<string, unknown>();
  const unwatch = live.hub.watch({
    watch: (metric, read) => {
      page.set(metric, [...read()]);
      return () => void page.delete(metric);
    },
  });
  assert.deepEqual(page.get("hubClosed"), [
    { labels: { door: "sse", reason: "left" }, value: 1 },
    { labels: { door: "websocket", reason: "closed" }, value: 1 },
  ]);
  unwatch();
  assert.equal(page.size, 0);
});
