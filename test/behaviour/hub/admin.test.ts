import assert from "node:assert/strict";
import { test } from "node:test";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { EchoRequestSchema } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { WatchRoomResponseSchema } from "../../../gen/tsms/test/v1/live_pb.ts";
import { HubAdminService, type WatchEventsResponse } from "../../../gen/ts_ms/hub/v1/admin_pb.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { Hub } from "../../../src/hub/hub.ts";
import { openStream } from "../streams/stream-client.ts";
import { members, startTopics } from "./topic-servers.ts";

/** The admin service of the topics' hub, on servers of its own. */
async function startAdmin() {
  const servers = await startTopics();
  const service = servers.hub.admin({
    allow({ requestHeader }) {
      if (requestHeader.get("authorization") !== "Bearer root")
        throw new ConnectError("not for you", Code.PermissionDenied);
    },
  });
  const grpc = new GrpcServer({ port: 0, logger: false }).addService(service);
  const http = new HttpServer({ port: 0, upstream: grpc, logger: false }).addService(HubAdminService);
  await grpc.start();
  await http.start();
  const url = `http://127.0.0.1:${http.address?.port}/hub/v1`;
  const headers = { authorization: "Bearer root" };
  return {
    ...servers,
    url,
    client: createClient(HubAdminService, dial(`127.0.0.1:${grpc.address?.port}`)),
    headers,
    get: async (path: string): Promise<Record<string, unknown>> => {
      const answer = await fetch(`${url}/${path}`, { headers });
      return (await answer.json()) as Record<string, unknown>;
    },
    post: async (path: string, body: object): Promise<Record<string, unknown>> => {
      const init = { method: "POST", headers: { ...headers, "content-type": "application/json" } };
      const answer = await fetch(`${url}/${path}`, { ...init, body: JSON.stringify(body) });
      return (await answer.json()) as Record<string, unknown>;
    },
    watch: (user: string) =>
      openStream(`http://127.0.0.1:${servers.httpPort}/test/v1/live/acme/lobby`, {
        headers: { accept: "text/event-stream", "x-member": user },
      }),
    async [Symbol.asyncDispose]() {
      await http.gracefulStop({ graceMs: 0 });
      await grpc.gracefulStop({ graceMs: 0 });
      await servers[Symbol.asyncDispose]();
    },
  };
}

test("every rpc of the admin service asks whether the caller may, and a service needs the question", async () => {
  await using admin = await startAdmin();
  const paths = ["connections", "connections/x", "connections:count", "rooms", "nodes", "statistics"];
  for (const path of [...paths, "rooms/live/acme.lobby:members", "connections:watch"]) {
    const answer = await fetch(`${admin.url}/${path}`);
    assert.equal(answer.status, 403, path);
    await answer.body?.cancel();
  }
  for (const path of [
    "connections:close",
    "connections:recheck",
    "topics/live:send",
    "topics/live:publish",
  ]) {
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };
    assert.equal((await fetch(`${admin.url}/${path}`, init)).status, 403, path);
  }
  // @ts-expect-error An `allow` that is missing does not compile.
  assert.throws(() => new Hub().admin({}), /hub\.admin: the option allow must be a function/);
});

test("connections, rooms, members and nodes are listed, counted and closed by rpcs", async () => {
  await using admin = await startAdmin();
  const { hub, client, headers, get, post, watch } = admin;
  const ada = await watch("ada");
  const bob = await watch("bob");
  await members(hub, 2);
  const { connections = [] } = (await get("connections?selector.users=ada")) as {
    connections?: { id: string; user: string; rooms: string[]; door: string }[];
  };
  const [first] = connections;
  assert.deepEqual(
    connections.map(({ user, rooms, door }) => ({ user, rooms, door })),
    [{ user: "ada", rooms: ["live/acme.lobby"], door: "sse" }],
  );
  assert.equal((await client.getConnection({ id: first?.id ?? "" }, { headers })).connection?.user, "ada");
  assert.equal((await get("connections/none-1"))["code"], Code.NotFound);
  assert.deepEqual(await get("connections:count?by=user"), {
    total: "2",
    groups: { ada: "1", bob: "1" },
    unreachable: [],
  });
  assert.equal((await get("connections:count?by=shoe"))["code"], Code.InvalidArgument);
  assert.equal((await get("connections?selector.addresses=here"))["code"], Code.InvalidArgument);
  const { rooms } = await client.listRooms({}, { headers });
  assert.deepEqual(
    rooms.map(({ room, topic, name, members: count }) => [room, topic, name, count]),
    [["live/acme.lobby", "live", "acme.lobby", 2n]],
  );
  const inRoom = await client.listMembers({ room: "live/acme.lobby" }, { headers });
  assert.deepEqual(new Set(inRoom.members.map(({ user }) => user)), new Set(["ada", "bob"]));
  const joined = await client.joinRoom({ room: "live/acme.two", selector: { users: ["ada"] } }, { headers });
  assert.equal(joined.outcome?.done, 1n);
  const left = await post("rooms/live/acme.two:leave", { selector: { everybody: true } });
  assert.deepEqual(left["outcome"], { selected: "2", done: "1", failed: "1", unreachable: [] });
  const rechecked = await client.recheck({ selector: { everybody: true } }, { headers });
  assert.equal(rechecked.outcome?.done, 2n);
  const { nodes } = await client.listNodes({}, { headers });
  assert.deepEqual(
    nodes.map(({ id, local, connections: count }) => [id, local, count]),
    [[hub.node, true, 2n]],
  );
  const statistics = await client.getStatistics({}, { headers });
  assert.deepEqual(
    [statistics.total?.activeConnections, statistics.doors["sse"]?.totalConnections, statistics.members],
    [2n, 2n, 2n],
  );
  assert.ok((statistics.total?.bytes ?? 0n) > 0n, "beginnings of streams");
  assert.equal(statistics.total?.bytes, statistics.doors["sse"]?.bytes);
  assert.equal((await post("connections:close", {}))["code"], Code.InvalidArgument, "a selector is needed");
  const closed = await client.closeConnections(
    { selector: { users: ["bob"] }, reconnect: false, reason: "out", refuse: { seconds: 60n } },
    { headers },
  );
  assert.equal(closed.outcome?.done, 1n);
  assert.match(await bob.until((text) => text.includes("event: error")), /"message":"out"/);
  ada.request.destroy();
});

test("messages are published and sent as JSON and in an Any of the topic's type", async () => {
  await using admin = await startAdmin();
  const { hub, client, headers, post, watch } = admin;
  const ada = await watch("ada");
  await members(hub, 1);
  const published = await post("topics/live:publish", {
    room: "acme.lobby",
    message: { json: { text: "as json" } },
    headers: { lang: "en" },
    id: "one",
  });
  assert.deepEqual((published["receipt"] as { id: string; members: string }).members, "1");
  const message = anyPack(WatchRoomResponseSchema, create(WatchRoomResponseSchema, { text: "as any" }));
  const sent = await client.send(
    { topic: "live", selector: { users: ["ada"] }, message: { form: { case: "message", value: message } } },
    { headers },
  );
  assert.equal(sent.receipt?.members, 1n);
  const text = await ada.until((got) => got.includes("as any"));
  assert.match(text, /as json/);
  const refused = async (request: Parameters<typeof client.publish>[0]) =>
    client.publish({ topic: "live", room: "acme.lobby", ...request }, { headers }).then(
      () => "it was taken",
      (reason: unknown) => `${ConnectError.from(reason).code} ${ConnectError.from(reason).rawMessage}`,
    );
  const other = anyPack(EchoRequestSchema, create(EchoRequestSchema));
  assert.match(
    await refused({ message: { form: { case: "message", value: other } } }),
    /^3 message: the topic live is of tsms\.test\.v1\.WatchRoomResponse, and the message of tsms\.test\.v1\.EchoRequest/,
  );
  assert.match(
    await refused({ message: { form: { case: "json", value: { tekst: "" } } } }),
    /^3 message\.json: .*tekst/,
  );
  assert.match(await refused({}), /^3 message: a message of tsms\.test\.v1\.WatchRoomResponse is missing/);
  assert.match(await refused({ topic: "liv" }), /^3 topic: there is no topic "liv"/);
  ada.request.destroy();
});

test("events are told as they happen", async () => {
  await using admin = await startAdmin();
  const { client, headers, hub, watch } = admin;
  const leaving = new AbortController();
  const events = client.watchEvents({}, { headers, signal: leaving.signal })[Symbol.asyncIterator]();
  const first = events.next();
  // The stream has begun when its first event comes: connections come and go until then.
  let hasBegun = false;
  void first.then(() => (hasBegun = true));
  while (!hasBegun) {
    const visitor = await watch("visitor");
    await members(hub, 1);
    visitor.request.destroy();
    await members(hub, 0);
  }
  const told = ({ value }: Awaited<typeof first>): WatchEventsResponse | undefined =>
    value as WatchEventsResponse | undefined; // Undefined at the end.
  const names = new Set([told(await first)?.event]);
  while (!names.has("left") || !names.has("joined")) {
    const visitor = await watch("visitor");
    visitor.request.destroy();
    const event = told(await events.next());
    names.add(event?.event);
    assert.equal(event?.connection?.user, "visitor");
  }
  leaving.abort();
});
