/** Who is in a room, by the hub's own service: for clients that are not in it themselves. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import {
  HealthCheckResponse_ServingStatus as Status,
  Health,
} from "../../../gen/grpc/health/v1/health_pb.ts";
import { PresenceKind } from "../../../gen/ts_ms/hub/v1/events_pb.ts";
import { HubAdminService } from "../../../gen/ts_ms/hub/v1/admin_pb.ts";
import { HubService } from "../../../gen/ts_ms/hub/v1/hub_pb.ts";
import { LiveService } from "../../../gen/tsms/test/v1/live_pb.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import type { BusNode } from "../../../src/hub/bus/bus.ts";
import { memoryBus } from "../../../src/hub/bus/memory-bus.ts";
import { Hub } from "../../../src/hub/hub.ts";
import { eventsOf, openStream } from "../streams/stream-client.ts";
import { members } from "./topic-servers.ts";

const kinds = ["UNSPECIFIED", "SYNC", "JOIN", "LEAVE", "UPDATE"];

/** A hub whose service is served, with a topic whose rooms say who is there, and a client of it. */
async function start() {
  const bus = memoryBus();
  let ofBus: BusNode | undefined;
  const begin = bus.start.bind(bus);
  bus.start = (node) => begin((ofBus = node));
  const hub = new Hub({
    bus,
    joinsPerSecond: 0,
    identify: ({ requestHeader }) => ({ user: requestHeader.get("x-member") ?? "" }),
  });
  const room = hub.topic(LiveService.method.watchRoom, {
    presence: { batchMs: 0, leaveDelayMs: 0 },
    authorize: ({ user }) => {
      if (user === "mallory") throw new ConnectError("not your room", Code.PermissionDenied);
    },
  });
  const kept = hub.topic(LiveService.method.followRooms);
  const grpc = new GrpcServer({ port: 0, hub, logger: false })
    .addService({ descriptor: LiveService, watchRoom: room.serve, followRooms: kept.serve })
    .addService(hub.service())
    .addService(hub.admin({ allow: () => {} }));
  const http = new HttpServer({
    port: 0,
    upstream: grpc,
    forwardHeaders: ["x-member"],
    headerFlushMs: 0,
    logger: false,
  });
  http.addService(HubService).addService(LiveService);
  await grpc.start();
  await http.start();
  const transport = dial(`127.0.0.1:${grpc.address?.port ?? 0}`);
  return {
    ...{ hub, room, transport, topic: room.name },
    busIs: (isUp: boolean) => ofBus?.busIs(isUp),
    url: `http://127.0.0.1:${http.address?.port ?? 0}`,
    join: (user: string) => {
      const leaving = new AbortController();
      const stream = createClient(LiveService, transport).watchRoom(
        { tenant: "t", room: "a" },
        { headers: { "x-member": user }, signal: leaving.signal },
      );
      void (async () => {
        for await (const _ of stream);
      })().catch(() => {}); // It is ended by its client.
      return () => leaving.abort();
    },
    /** Resolves when so many calls are present in the room, which they are a little after they are its members. */
    async present(connections: number): Promise<void> {
      await members(hub, connections);
      while ((await room.presence("t.a")).connections !== connections) await setImmediate();
    },
    async [Symbol.asyncDispose]() {
      await http.gracefulStop({ graceMs: 0 });
      await grpc.gracefulStop({ graceMs: 0 });
      transport.close();
    },
  };
}

test("GetPresence names who is in a room, WatchPresence every change", async () => {
  await using node = await start();
  const service = createClient(HubService, node.transport);
  const path = `${node.topic}/t.a`;
  assert.deepEqual((await service.getPresence({ room: path })).members, []);
  const leave = node.join("ada");
  await node.present(1);
  const { members: found, users, connections } = await service.getPresence({ room: path });
  assert.deepEqual([found.map(({ user }) => user), users, connections], [["ada"], 1, 1]);
  const events = service.watchPresence({ room: path })[Symbol.asyncIterator]();
  const next = async (): Promise<string[]> => {
    const answer = await events.next();
    if (answer.done === true) assert.fail("the stream has ended");
    const { kind = PresenceKind.UNSPECIFIED, members: some = [] } = answer.value.event ?? {};
    return [kinds[kind] ?? "", ...some.map(({ user }) => user)];
  };
  assert.deepEqual(await next(), ["SYNC", "ada"]);
  const leaveToo = node.join("bob");
  assert.deepEqual(await next(), ["JOIN", "bob"]);
  leave();
  assert.deepEqual(await next(), ["LEAVE", "ada"]);
  leaveToo();
  await events.return?.();
});

test("both are REST routes, which know rooms by their paths", async () => {
  await using node = await start();
  const leave = node.join("ada");
  await node.present(1);
  const reply = await fetch(`${node.url}/hub/v1/presence/${node.topic}/t.a`);
  const body = (await reply.json()) as { members: { user: string }[]; users: number };
  assert.deepEqual([reply.status, body.members.map(({ user }) => user), body.users], [200, ["ada"], 1]);
  const stream = await openStream(`${node.url}/hub/v1/presence/${node.topic}/t.a:watch`, {
    headers: { accept: "text/event-stream" },
  });
  await stream.until((so) => eventsOf(so).some(({ data }) => data.includes("SYNC") && data.includes("ada")));
  stream.request.destroy();
  leave();
});

test("each asks the topic's authorize, and a topic without presence has none", async () => {
  await using node = await start();
  const service = createClient(HubService, node.transport);
  const code = async (room: string, user: string): Promise<Code | undefined> => {
    const watching = async (): Promise<void> => {
      for await (const _ of service.watchPresence({ room }, { headers: { "x-member": user } })) return;
    };
    const [get, watch] = await Promise.allSettled([
      service.getPresence({ room }, { headers: { "x-member": user } }),
      watching(),
    ]);
    const codeOf = (one: PromiseSettledResult<unknown>): Code | undefined =>
      one.status === "rejected" ? ConnectError.from(one.reason).code : undefined;
    assert.equal(codeOf(get), codeOf(watch));
    return codeOf(get);
  };
  assert.equal(await code(`${node.topic}/t.a`, "mallory"), Code.PermissionDenied);
  assert.equal(await code("kept/a", "ada"), Code.FailedPrecondition);
  assert.equal(await code("nothing/a", "ada"), Code.InvalidArgument);
  assert.equal(await code(`${node.topic}/t.a`, "ada"), undefined);
});

test("health of the hub's service is NOT_SERVING while the bus is down, that of the server is not", async () => {
  await using node = await start();
  const health = createClient(Health, node.transport);
  const admin = createClient(HubAdminService, node.transport);
  const statusOf = async (service: string): Promise<Status> => (await health.check({ service })).status;
  assert.equal(await statusOf(HubService.typeName), Status.SERVING);
  assert.equal((await admin.getStatistics({})).busUp, true);
  node.busIs(false);
  assert.equal(await statusOf(HubService.typeName), Status.NOT_SERVING);
  assert.equal(await statusOf(""), Status.SERVING);
  const { busUp, gaps } = await admin.getStatistics({});
  assert.deepEqual([busUp, gaps], [false, 0n]);
  node.busIs(true);
  assert.equal(await statusOf(HubService.typeName), Status.SERVING);
});
