/** A hub that is loaded with the first call of a service that needs it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { ChatService as descriptor } from "../../gen/chat/v1/chat_pb.ts";
import { HubOnDemand } from "../../src/app/hub-on-demand.ts";
import { dial } from "../../src/core/dial.ts";
import { GrpcServer } from "../../src/core/grpc-server.ts";
import { HttpServer } from "../../src/gateway/http-server.ts";
import type { Hub } from "../../src/hub/hub.ts";
import { ChatService } from "../../src/services/chat/chat-service.ts";
import { SocketClient } from "../behaviour/websocket/socket-client.ts";
import { Echo } from "../support/echo-service.ts";

async function startLate() {
  const hubs: Hub[] = [];
  const late = new HubOnDemand();
  const chat = late.service(descriptor, async (hub) => {
    hubs.push(hub);
    return new ChatService(hub);
  });
  const grpc = new GrpcServer({ port: 0, hub: late }).addService(chat).addService(new Echo());
  const http = new HttpServer({ port: 0, upstream: grpc }).addService(chat).addService(new Echo());
  await grpc.start();
  await http.start();
  return {
    hubs,
    url: `http://127.0.0.1:${http.address?.port}`,
    grpcAddress: `127.0.0.1:${grpc.address?.port}`,
    async [Symbol.asyncDispose]() {
      await http.gracefulStop({ graceMs: 0 });
      await grpc.gracefulStop({ graceMs: 0 });
    },
  };
}

test("calls of other services do not load it, one of its own does, once", async () => {
  await using servers = await startLate();
  assert.equal((await fetch(`${servers.url}/test/v1/echo/x`)).status, 200);
  assert.equal(servers.hubs.length, 0);
  const answers = await Promise.all([1, 2, 3].map(() => fetch(`${servers.url}/v1/rooms`)));
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200],
  );
  assert.equal(servers.hubs.length, 1);
  const transport = dial(servers.grpcAddress);
  const { rooms } = await createClient(descriptor, transport).listRooms({});
  assert.equal(rooms[0]?.name, "lobby");
  assert.equal(servers.hubs.length, 1);
  transport.close();
});

test("a socket that was open before is a connection of it from its first such call on, until it closes", async () => {
  await using servers = await startLate();
  const client = await new SocketClient(`${servers.url.replace("http", "ws")}/ws`).open();
  client.send(JSON.stringify({ hello: { client: "early" } }));
  client.send(
    JSON.stringify({ id: 1, method: "chat.v1.ChatService/WatchRoom", message: { room: "lobby" }, end: true }),
  );
  assert.partialDeepStrictEqual(await client.json(), { id: 1, joined: { resume: "fresh" } });
  const [hub] = servers.hubs;
  assert.ok(hub !== undefined);
  const { connections } = await hub.connections();
  assert.deepEqual(
    connections.map(({ door, rooms }) => [door, rooms]),
    [["websocket", ["chat/lobby"]]],
  );
  const left = new Promise<void>((resolve) => hub.on("disconnected", () => resolve()));
  client.ws.close();
  await left;
  assert.equal((await hub.count()).total, 0);
});

test("it stops with its servers: calls in rooms end with UNAVAILABLE", async () => {
  const servers = await startLate();
  const answer = await fetch(`${servers.url}/v1/rooms/lobby:watch`, {
    headers: { accept: "text/event-stream" },
  });
  const text = answer.text();
  await servers[Symbol.asyncDispose]();
  assert.match(await text, /event: error\ndata: {"code":14/);
});
