/** Topics whose publications are acknowledged: each comes at least once to a subscriber, wherever it connects. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { HubService } from "../../../gen/ts_ms/hub/v1/hub_pb.ts";
import { LiveService } from "../../../gen/tsms/test/v1/live_pb.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { MemoryStore, memoryBus } from "../../../src/hub/bus/memory-bus.ts";
import { Hub } from "../../../src/hub/hub.ts";
import type { AcknowledgedBounds } from "../../../src/hub/subscribers.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";
import { SocketClient } from "../websocket/socket-client.ts";
import { members } from "./topic-servers.ts";

const { followRooms } = LiveService.method;

interface Init {
  readonly acknowledged?: Partial<AcknowledgedBounds>;
  readonly history?: { readonly size: number };
  readonly store?: MemoryStore;
  readonly clock?: VirtualClock;
  readonly roomLingerMs?: number;
}

/** A node whose topic is acknowledged, and users who are what they say. */
async function start({
  acknowledged = {},
  history = { size: 100 },
  store,
  clock,
  roomLingerMs = 30_000,
}: Init = {}) {
  const hub = new Hub(
    {
      bus: memoryBus(store),
      joinsPerSecond: 0,
      roomLingerMs,
      identify: ({ requestHeader }) => ({ user: requestHeader.get("x-member") ?? "" }),
    },
    clock === undefined ? {} : { clock },
  );
  const kept = hub.topic(followRooms, { acknowledged, history });
  const plain = hub.topic(LiveService.method.followState);
  const service = { descriptor: LiveService, followRooms: kept.serve, followState: plain.serve };
  const grpc = new GrpcServer({ port: 0, hub, logger: false }).addService(service).addService(hub.service());
  const forwardHeaders = ["x-member"];
  const http = new HttpServer({
    port: 0,
    upstream: grpc,
    forwardHeaders,
    headerFlushMs: 60_000,
    logger: false,
  });
  http.addService(LiveService).addService(HubService);
  await grpc.start();
  await http.start();
  return {
    ...{ hub, kept },
    url: `http://127.0.0.1:${http.address?.port ?? 0}`,
    grpcAddress: `127.0.0.1:${grpc.address?.port ?? 0}`,
    async [Symbol.asyncDispose]() {
      await http.gracefulStop({ graceMs: 0 });
      await grpc.gracefulStop({ graceMs: 0 });
    },
  };
}

type Frame = Record<string, unknown> & {
  readonly joined?: { readonly position: string; readonly resume: string; readonly reason?: string };
  readonly message?: { readonly text: string };
  readonly headers?: Record<string, string>;
  readonly position?: string;
  readonly status?: { readonly code: number; readonly details: { reason?: string }[] };
};

interface Reader {
  readonly client: SocketClient;
  readonly joined: NonNullable<Frame["joined"]>;
  readonly next: () => Promise<Frame>;
  readonly ack: (position: unknown) => void;
}

/** Reads a room as a subscriber on a socket of its own. */
async function read(
  url: string,
  name: string | undefined,
  { room = "a", user = "ada" } = {},
): Promise<Reader> {
  const headers = { "x-member": user, ...(name !== undefined && { "ts-ms-subscriber": name }) };
  const client = await new SocketClient(`${url.replace("http", "ws")}/ws`, [], { headers }).open();
  const method = "tsms.test.v1.LiveService/FollowRooms";
  client.send(JSON.stringify({ hello: {} }));
  client.send(JSON.stringify({ id: 1, method, message: { rooms: room.split(",") }, end: true }));
  const next = (): Promise<Frame> => client.json();
  const { joined } = await next();
  assert.ok(joined);
  return { client, joined, next, ack: (position) => client.send(JSON.stringify({ id: 1, ack: position })) };
}

/** The texts of the next messages. */
async function texts({ next }: Reader, count: number): Promise<(string | undefined)[]> {
  const found: (string | undefined)[] = [];
  while (found.length < count) found.push((await next()).message?.text);
  return found;
}

test("a subscriber begins behind what it has acknowledged, on any node", async () => {
  const store = new MemoryStore();
  await using one = await start({ store });
  await using two = await start({ store });
  const first = await read(one.url, "phone");
  assert.equal(first.joined.resume, "fresh");
  for (const text of ["1", "2", "3"]) await one.kept.publish("a", { text });
  await first.next();
  const { position } = await first.next();
  first.ack(position);
  await first.next();
  first.client.ws.terminate();
  await members(one.hub, 0);
  await one.kept.publish("a", { text: "4" });
  const second = await read(two.url, "phone");
  assert.equal(second.joined.resume, "recovered");
  assert.deepEqual(await texts(second, 2), ["3", "4"]);
  const other = await read(two.url, "phone", { user: "bob" }); // A name belongs to its user.
  assert.equal(other.joined.resume, "fresh");
  for (const { client } of [second, other]) client.ws.close();
});

test("who goes away without any acknowledgement comes back to where it has begun", async () => {
  await using node = await start();
  const first = await read(node.url, "phone");
  first.client.ws.terminate();
  await members(node.hub, 0);
  await node.kept.publish("a", { text: "1" });
  const second = await read(node.url, "phone");
  assert.equal(second.joined.resume, "recovered");
  assert.deepEqual(await texts(second, 1), ["1"]);
  second.client.ws.close();
});

test("what is not acknowledged in time is sent again, and says so", async () => {
  const clock = new VirtualClock();
  await using node = await start({ clock, acknowledged: { ackTimeoutMs: 1_000 } });
  const reader = await read(node.url, "phone");
  await node.kept.publish("a", { text: "1" }, { headers: { lang: "de" } });
  const first = await reader.next();
  assert.deepEqual(first.headers, { lang: "de" });
  clock.advance(999);
  await node.kept.publish("a", { text: "2" });
  const second = await reader.next();
  clock.advance(1);
  const again = await reader.next();
  assert.deepEqual([again.message?.text, again.headers], ["1", { lang: "de", "ts-ms-redelivered": "1" }]);
  reader.ack(second.position);
  // Once what was sent later is acknowledged, nothing comes again.
  await node.kept.publish("a", { text: "3" });
  const third = await reader.next();
  reader.ack(third.position);
  await node.kept.publish("a", { text: "4" });
  assert.equal((await reader.next()).message?.text, "4");
  clock.advance(10_000);
  assert.equal((await reader.next()).message?.text, "4");
  reader.client.ws.close();
});

test("with too much that is not acknowledged a subscriber waits", async () => {
  await using node = await start({ acknowledged: { maxUnacked: 2 } });
  const reader = await read(node.url, "phone");
  for (const text of ["1", "2", "3", "4"]) await node.kept.publish("a", { text });
  const { position } = await reader.next();
  await reader.next();
  const [connection] = (await node.hub.connections()).connections;
  assert.equal(connection?.sent, 2);
  reader.ack(position);
  assert.deepEqual(await texts(reader, 1), ["3"]);
  reader.client.ws.close();
});

test("of two calls of one subscriber the newer one works", async () => {
  await using node = await start();
  const old = await read(node.url, "phone");
  const other = await read(node.url, "laptop");
  const young = await read(node.url, "phone");
  const { status } = await old.next();
  assert.equal(status?.code, Code.Aborted);
  assert.equal(status.details[0]?.reason, "REPLACED");
  await node.kept.publish("a", { text: "1" });
  assert.deepEqual(await Promise.all([texts(young, 1), texts(other, 1)]), [["1"], ["1"]]);
  for (const { client } of [old, other, young]) client.ws.close();
});

test("what history no longer has is a reset, once", async () => {
  await using node = await start({ history: { size: 2 }, roomLingerMs: 0 });
  const first = await read(node.url, "phone");
  first.client.ws.terminate();
  await members(node.hub, 0);
  for (const text of ["1", "2", "3", "4"]) await node.kept.publish("a", { text });
  const second = await read(node.url, "phone");
  assert.deepEqual([second.joined.resume, second.joined.reason], ["reset", "EXPIRED"]);
  second.client.ws.terminate();
  await members(node.hub, 0);
  const third = await read(node.url, "phone");
  assert.equal(third.joined.resume, "recovered");
  third.client.ws.close();
});

test("several rooms are acknowledged by one position", async () => {
  await using node = await start();
  const first = await read(node.url, "phone", { room: "a,b" });
  await node.kept.publish("a", { text: "1" });
  await first.next();
  await node.kept.publish("b", { text: "2" });
  const { position } = await first.next();
  first.ack(position);
  await node.kept.publish("a", { text: "3" });
  await first.next();
  first.client.ws.terminate();
  await members(node.hub, 0);
  const second = await read(node.url, "phone", { room: "b,a" });
  assert.deepEqual(await texts(second, 1), ["3"]);
  second.client.ws.close();
});

for (const [name, positionOf, code] of [
  ["behind what was sent", (sent: string) => sent.replace(/\d+$/, "9"), Code.FailedPrecondition],
  ["of another room", () => "ABCDEFGH.1", Code.InvalidArgument],
  ["that is none", () => "x", Code.InvalidArgument],
] as const) {
  test(`an acknowledgement of a position ${name} ends its call`, async () => {
    await using node = await start();
    const reader = await read(node.url, "phone");
    await node.kept.publish("a", { text: "1" });
    const { position = "" } = await reader.next();
    reader.ack(positionOf(position));
    assert.equal((await reader.next()).status?.code, code);
    reader.client.ws.close();
  });
}

test("calls without a subscriber, and those in no room, acknowledge nothing", async () => {
  await using node = await start();
  const reader = await read(node.url, undefined);
  reader.ack(reader.joined.position);
  assert.equal((await reader.next()).status?.code, Code.FailedPrecondition);
  reader.client.send(JSON.stringify({ id: 2, method: "tsms.test.v1.LiveService/FollowRooms" }));
  reader.client.send(JSON.stringify({ id: 2, ack: "x" }));
  assert.equal((await reader.next()).status?.code, Code.InvalidArgument);
  reader.client.ws.close();
});

test("clients of other doors acknowledge by the hub's service", async () => {
  await using node = await start();
  const transport = dial(node.grpcAddress);
  const headers = { "x-member": "ada", "ts-ms-subscriber": "phone" };
  const { kept } = node;
  const follow = async (count: number): Promise<string[]> => {
    const ids: string[] = [];
    const leaving = new AbortController();
    const { signal } = leaving;
    for await (const { id } of createClient(LiveService, transport).followRooms(
      { rooms: ["a"] },
      { headers, signal },
    ))
      if (ids.push(id) === count) break;
    leaving.abort();
    return ids;
  };
  const hub = createClient(HubService, transport);
  const ack = (position: string, more: object = {}) =>
    hub.ack({ topic: "kept", room: "a", subscriber: "phone", position, ...more }, { headers });
  const codeOf = async (call: Promise<unknown>): Promise<Code | undefined> => {
    try {
      await call;
      return undefined;
    } catch (reason) {
      return ConnectError.from(reason).code;
    }
  };
  const top = await kept.position("a");
  assert.equal(await codeOf(ack(top)), Code.FailedPrecondition, "nothing was sent to it");
  const reading = follow(2);
  await members(node.hub, 1);
  await kept.publish("a", { text: "1" });
  await kept.publish("a", { text: "2" });
  const [first = "", second = ""] = await reading;
  await members(node.hub, 0);
  await ack(first);
  await ack(first);
  assert.deepEqual(await follow(1), [second]);
  await members(node.hub, 0);
  assert.equal(await codeOf(ack(second.replace(/\d+$/, "9"))), Code.FailedPrecondition);
  assert.equal(await codeOf(ack("ABCDEFGH.1")), Code.InvalidArgument);
  assert.equal(await codeOf(ack(second, { subscriber: "a b" })), Code.InvalidArgument);
  assert.equal(await codeOf(ack(second, { topic: "state", room: "a" })), Code.FailedPrecondition);
  assert.equal(await codeOf(ack(second, { topic: "none" })), Code.InvalidArgument);
  const answer = await fetch(`${node.url}/hub/v1/acks`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-member": "ada" },
    body: JSON.stringify({ topic: "kept", room: "a", subscriber: "phone", position: second }),
  });
  assert.equal(answer.status, 200);
  transport.close();
});

test("a name that is none refuses the call", async () => {
  await using node = await start();
  const transport = dial(node.grpcAddress);
  const calls = createClient(LiveService, transport).followRooms(
    { rooms: ["a"] },
    { headers: { "ts-ms-subscriber": "a b" } },
  );
  const reading = (async () => {
    for await (const _ of calls);
  })();
  await assert.rejects(reading, ({ code }: ConnectError) => code === Code.InvalidArgument);
  transport.close();
});

test("a topic that is acknowledged needs history", () => {
  const hub = new Hub();
  assert.throws(
    () => hub.topic(LiveService.method.watchRoom, { acknowledged: {} }),
    (error) =>
      error instanceof SetupError &&
      error.message.includes("WatchRoom: the topic's acknowledged needs history"),
  );
});
