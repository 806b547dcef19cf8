/** The hub's own service: rooms of any topics on one stream, also of topics that have no rpc. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { anyUnpack, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { HubService } from "../../../gen/ts_ms/hub/v1/hub_pb.ts";
import { FollowRoomsResponseSchema, LiveService } from "../../../gen/tsms/test/v1/live_pb.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { Hub } from "../../../src/hub/hub.ts";
import type { HubOptions } from "../../../src/hub/hub-options.ts";
import type { TopicInit } from "../../../src/hub/topic-options.ts";
import { eventsOf, openStream, type StreamReply } from "../streams/stream-client.ts";
import { SocketClient } from "../websocket/socket-client.ts";
import { members } from "./topic-servers.ts";

/** A node with two topics that keep what is published, one of them without an rpc, and one that keeps nothing. */
async function start(init: TopicInit = {}, options: Partial<HubOptions> = {}) {
  const hub = new Hub({ joinsPerSecond: 0, ...options });
  const kept = hub.topic(LiveService.method.followRooms);
  const alerts = hub.topic("alerts", StringValueSchema, { history: {}, ...init });
  const quick = hub.topic("quick", StringValueSchema);
  const grpc = new GrpcServer({ port: 0, hub, logger: false }).addService(hub.service());
  const http = new HttpServer({ port: 0, upstream: grpc, headerFlushMs: 60_000, logger: false });
  http.addService(HubService);
  await grpc.start();
  await http.start();
  return {
    ...{ hub, kept, alerts, quick },
    url: `http://127.0.0.1:${http.address?.port ?? 0}`,
    grpcAddress: `127.0.0.1:${grpc.address?.port ?? 0}`,
    async [Symbol.asyncDispose]() {
      await http.gracefulStop({ graceMs: 0 });
      await grpc.gracefulStop({ graceMs: 0 });
    },
  };
}

type Node = Awaited<ReturnType<typeof start>>;

const listen = ({ url }: Node, query: string, after?: string): Promise<StreamReply> =>
  openStream(`${url}/hub/v1/events?${query}`, {
    headers: { accept: "text/event-stream", ...(after !== undefined && { "last-event-id": after }) },
  });

/** What the events of a stream say, when so many have come: topic, room and text. */
async function heard(reply: StreamReply, count: number): Promise<(readonly unknown[])[]> {
  const text = await reply.until((so) => eventsOf(so).length >= count);
  return eventsOf(text).map(({ data }) => {
    const { topic, room, message, reset } = JSON.parse(data) as {
      topic: string;
      room: string;
      message?: { text?: string; value?: string };
      reset?: { reason: string };
    };
    return [topic, room, message?.text ?? message?.value ?? reset?.reason];
  });
}

/** The same, in an order of their own. */
const sorted = async (reply: StreamReply, count: number): Promise<string[]> =>
  (await heard(reply, count)).map((said) => said.join(" ")).toSorted();

const both = "rooms=kept/a&rooms=alerts/all";

test("rooms of several topics come on one stream, and a client goes on from its last id", async () => {
  await using node = await start();
  const reply = await listen(node, both);
  const opening = /^id: (.+)$/m.exec(await reply.until((so) => so.includes("id: ")))?.[1];
  assert.match(opening ?? "", /^[\w-]{6}:\w{8}\.0~\w{8}\.0$/);
  assert.equal(reply.response.headers["ts-ms-resume"], "fresh");
  await node.kept.publish("a", { text: "one" });
  await node.alerts.publish("all", { value: "two" }, { headers: { level: "9" }, event: "alert" });
  assert.deepEqual(await heard(reply, 2), [
    ["kept", "a", "one"],
    ["alerts", "all", "two"],
  ]);
  const [first, second] = eventsOf(reply.text());
  assert.equal(second?.event, "alert");
  const said = JSON.parse(second?.data ?? "") as Record<string, unknown>;
  assert.deepEqual(said["headers"], { level: "9" });
  assert.deepEqual(said["message"], {
    "@type": "type.googleapis.com/google.protobuf.StringValue",
    value: "two",
  });
  assert.equal(said["id"], second?.id);
  reply.request.destroy();
  await members(node.hub, 0);
  await node.kept.publish("a", { text: "three" });
  const again = await listen(node, both, first?.id);
  assert.equal(again.response.headers["ts-ms-resume"], "recovered");
  assert.deepEqual(await sorted(again, 2), ["alerts all two", "kept a three"]);
  const last = eventsOf(again.text()).at(-1)?.id;
  again.request.destroy();
  // The order in which rooms are named is of no account.
  const third = await listen(node, "rooms=alerts/all&rooms=kept/a&rooms=kept/a", last);
  assert.equal(third.response.headers["ts-ms-resume"], "recovered");
  await node.alerts.publish("all", { value: "four" });
  assert.deepEqual(await heard(third, 1), [["alerts", "all", "four"]]);
  third.request.destroy();
});

test("one room has its own position, which is that of its topic", async () => {
  await using node = await start();
  const reply = await listen(node, "rooms=alerts/all");
  await reply.until((so) => so.includes("id: "));
  const { position } = await node.alerts.publish("all", { value: "one" });
  await heard(reply, 1);
  assert.equal(eventsOf(reply.text())[0]?.id, position);
  reply.request.destroy();
});

test("what a client has missed is a reset in its place, with the id from which it goes on", async () => {
  await using node = await start();
  const reply = await listen(node, both, "nonsense");
  assert.equal(reply.response.headers["ts-ms-resume"], "reset");
  assert.deepEqual(await sorted(reply, 2), [
    "alerts all RESET_REASON_UNKNOWN",
    "kept a RESET_REASON_UNKNOWN",
  ]);
  await node.kept.publish("a", { text: "one" });
  await heard(reply, 3);
  await node.kept.clear("a");
  assert.deepEqual((await heard(reply, 4)).at(-1), ["kept", "a", "RESET_REASON_CLEARED"]);
  const { id } = eventsOf(reply.text()).at(-1) ?? {};
  reply.request.destroy();
  await node.kept.publish("a", { text: "two" });
  const again = await listen(node, both, id);
  assert.equal(again.response.headers["ts-ms-resume"], "recovered");
  assert.deepEqual(await heard(again, 1), [["kept", "a", "two"]]);
  again.request.destroy();
});

test("over gRPC messages are of their own types, and what is sent to the call alone comes too", async () => {
  await using node = await start();
  const transport = dial(node.grpcAddress);
  const leaving = new AbortController();
  const events = createClient(HubService, transport).listen(
    {
      rooms: ["kept/a", "quick/x"],
      filter: { of: { case: "test", value: { header: "lang", value: { case: "is", value: "de" } } } },
    },
    { signal: leaving.signal },
  );
  const seen: string[] = [];
  const reading = (async () => {
    for await (const { topic, event } of events) {
      if (event.case !== "message") continue;
      const text =
        anyUnpack(event.value, FollowRoomsResponseSchema)?.text ??
        anyUnpack(event.value, StringValueSchema)?.value;
      if (seen.push(`${topic} ${text}`) === 3) return;
    }
  })();
  await members(node.hub, 2);
  await node.kept.publish("a", { text: "eins" }, { headers: { lang: "de" } });
  await node.kept.publish("a", { text: "one" }, { headers: { lang: "en" } });
  await node.quick.publish("x", { value: "zwei" }, { headers: { lang: "de" } });
  const { sent } = await node.quick.broadcast({ value: "drei" });
  assert.equal(sent, 1);
  await reading;
  assert.deepEqual(seen.toSorted(), ["kept eins", "quick drei", "quick zwei"]);
  leaving.abort();
  await members(node.hub, 0);
  transport.close();
});

test("on a socket that has said hello it is a call as any other", async () => {
  await using node = await start();
  const client = await new SocketClient(`${node.url.replace("http", "ws")}/ws`).open();
  client.send(JSON.stringify({ hello: {} }));
  const message = { rooms: ["kept/a", "alerts/all"] };
  client.send(JSON.stringify({ id: 1, method: "ts_ms.hub.v1.HubService/Listen", message }));
  const { joined } = (await client.json()) as { joined: { resume: string; position: string } };
  assert.equal(joined.resume, "fresh");
  await node.kept.publish("a", { text: "one" });
  const frame = (await client.json()) as { position: string; message: { id: string; topic: string } };
  assert.equal(frame.message.topic, "kept");
  assert.equal(frame.position, frame.message.id);
  assert.notEqual(frame.position, joined.position);
  client.ws.close();
});

test("rooms can be added to a listener and taken from it, and it ends well with its last one", async () => {
  await using node = await start();
  const reply = await listen(node, both);
  await members(node.hub, 2);
  assert.equal((await node.hub.join({ everybody: true }, "alerts/more")).done, 1);
  await node.alerts.publish("more", { value: "one" });
  assert.deepEqual(await heard(reply, 1), [["alerts", "more", "one"]]);
  for (const room of ["alerts/more", "alerts/all", "kept/a"]) await node.hub.leave({ everybody: true }, room);
  assert.equal(await reply.over, "complete");
});

test("each topic decides on its rooms, and one refusal refuses the call", async () => {
  const authorize = ({ room }: { readonly room: string }): void => {
    if (room === "secret") throw new ConnectError("not for you", Code.PermissionDenied);
  };
  await using node = await start({ authorize });
  const refused = await listen(node, "rooms=kept/a&rooms=alerts/secret");
  assert.equal(refused.response.statusCode, 403);
  await members(node.hub, 0);
  await node.alerts.publish("secret", { value: "one" });
  await node.alerts.publish("all", { value: "two" });
  assert.equal((await fetch(`${node.url}/hub/v1/history/alerts/secret`)).status, 403);
  const answer = await fetch(`${node.url}/hub/v1/history/alerts/all`);
  const page = (await answer.json()) as { events: { id: string; message: { value: string } }[]; top: string };
  assert.deepEqual(
    page.events.map(({ message }) => message.value),
    ["two"],
  );
  assert.equal(page.events[0]?.id, page.top);
});

const deep = "filter.not.not.not.not.test.header=a&filter.not.not.not.not.test.is=b";
for (const [query, status, text] of [
  ["", 400, "rooms: rooms are expected"],
  ["rooms=kept/a&rooms=nothing/x", 400, 'rooms[1]: there is no topic \\"nothing\\"'],
  ["rooms=kept", 400, "rooms[0]: the name of a room is missing"],
  [`rooms=kept/${"x".repeat(256)}`, 400, "rooms[0]: the name of a room has at most 255 bytes"],
  ["rooms=kept/%00", 400, "rooms[0]: the name of a room has no control characters"],
  [Array.from({ length: 17 }, (_, i) => `rooms=kept/${i}`).join("&"), 429, "at most 16 rooms"],
  [`rooms=kept/a&${deep}`, 400, "filters are at most 4 deep"],
  ["rooms=kept/a&filter.test.header=a", 400, "filter.test: is, is_not"],
] as const) {
  test(`what cannot be listened to is refused: ${query.slice(0, 40)}`, async () => {
    await using node = await start();
    const answer = await fetch(`${node.url}/hub/v1/events?${query}`, {
      headers: { accept: "application/x-ndjson" },
    });
    assert.equal(answer.status, status);
    const body = await answer.text();
    assert.ok(body.includes(text), body);
  });
}
