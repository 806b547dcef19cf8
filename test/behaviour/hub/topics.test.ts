import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageShape } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { LiveService, WatchRoomResponseSchema } from "../../../gen/tsms/test/v1/live_pb.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { Hub } from "../../../src/hub/hub.ts";
import { madeCall } from "../../support/made-call.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";
import { eventsOf, openStream } from "../streams/stream-client.ts";
import { joinAndLeave } from "./join-and-leave.ts";
import { members, startTopics } from "./topic-servers.ts";
import { SocketClient } from "../websocket/socket-client.ts";

type Reply = Pick<MessageShape<typeof WatchRoomResponseSchema>, "id" | "headers" | "text" | "numbers">;
/** A reader that gives what came, when `count` messages have. */
type Watch = (count: number) => Promise<readonly Reply[]>;

const path = "/test/v1/live/acme/lobby";

function plain({ id, headers, text, numbers }: Reply): Reply {
  return { id, headers: { ...headers }, text, numbers: [...numbers] };
}

function byTransport(transport: Transport): Watch {
  const replies = createClient(LiveService, transport).watchRoom({ tenant: "acme", room: "lobby" });
  const iterator = replies[Symbol.asyncIterator]();
  const first = iterator.next();
  return async (count) => {
    const got: Reply[] = [];
    for (let next = await first; next.done !== true; next = await iterator.next()) {
      got.push(plain(next.value));
      if (got.length === count) break;
    }
    return got;
  };
}

async function byHttp(port: number, accept: string, replyOf: (text: string) => Reply[]): Promise<Watch> {
  const { until } = await openStream(`http://127.0.0.1:${port}${path}`, { headers: { accept } });
  return async (count) => replyOf(await until((text) => replyOf(text).length >= count)).slice(0, count);
}

test("members by every door get the same messages, in order", async () => {
  await using servers = await startTopics();
  const { httpPort, grpcPort, hub, room } = servers;
  const baseUrl = `http://127.0.0.1:${httpPort}`;
  const route = await new SocketClient(`ws://127.0.0.1:${httpPort}${path}`).open();
  const many = await new SocketClient(`ws://127.0.0.1:${httpPort}/ws`).open();
  const call = {
    id: 1,
    method: "tsms.test.v1.LiveService/WatchRoom",
    message: { tenant: "acme", room: "lobby" },
  };
  many.send(JSON.stringify(call));
  const lines = (text: string): Reply[] =>
    text
      .split("\n")
      .slice(0, -1)
      .filter((line) => line !== "")
      .map((line) => plain(JSON.parse(line) as Reply));
  const readers: Watch[] = [
    byTransport(dial(`127.0.0.1:${grpcPort}`)),
    byTransport(createConnectTransport({ baseUrl, httpVersion: "1.1" })),
    byTransport(createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })),
    await byHttp(httpPort, "application/x-ndjson", lines),
    await byHttp(httpPort, "text/event-stream", (text) =>
      eventsOf(text)
        .filter(({ event }) => event === "message")
        .map(({ data, id }) => {
          const reply = plain(JSON.parse(data) as Reply);
          assert.equal(id, reply.id);
          return reply;
        }),
    ),
    async (count) => {
      const got: Reply[] = [];
      while (got.length < count) got.push(plain((await route.json()) as unknown as Reply));
      return got;
    },
    async (count) => {
      const got: Reply[] = [];
      while (got.length < count) got.push(plain((await many.json())["message"] as Reply));
      return got;
    },
  ];
  await members(hub, readers.length);
  assert.deepEqual((await hub.count({ rooms: ["live/acme.lobby"] }, "room")).groups, {
    "live/acme.lobby": 7,
  });
  assert.deepEqual((await hub.count({ topics: ["live"] }, "topic")).groups, { live: 7 });
  const expected: Reply[] = [];
  const message = { text: "", numbers: [1] };
  for (let i = 0; i < 20; i++) {
    message.text = `message ${i}`;
    const receipt = await room.publish("acme.lobby", message, {
      headers: { lang: i % 2 === 0 ? "de" : "en" },
    });
    expected.push({
      id: receipt.id,
      headers: { lang: i % 2 === 0 ? "de" : "en" },
      text: message.text,
      numbers: [1],
    });
    const { members: all, sent, lagging, filtered, failed, dropped } = receipt;
    assert.deepEqual([all, filtered, failed, dropped, sent + lagging], [7, 0, 0, 0, 7]);
    message.text = "changed behind";
    message.numbers.length = 1;
  }
  await room.publish("acme.other", { text: "foreign" });
  for (const [place, read] of readers.entries())
    assert.deepEqual(await read(20), expected, `reader ${place}`);
  const { published, delivered } = await hub.statistics();
  assert.deepEqual([published, delivered], [21, 140]);
});

test("a call with several rooms reads all of them, each once", async () => {
  await using servers = await startTopics();
  const { httpPort, hub, all } = servers;
  const url = `http://127.0.0.1:${httpPort}/test/v1/live?rooms=a&rooms=b&rooms=a`;
  const reply = await openStream(url, { headers: { accept: "application/x-ndjson" } });
  await members(hub, 2);
  const [connection] = (await hub.connections()).connections;
  assert.deepEqual(connection?.rooms, [
    "tsms.test.v1.LiveService.WatchAllRooms/a",
    "tsms.test.v1.LiveService.WatchAllRooms/b",
  ]);
  await all.publishAll([
    { room: "a", message: { room: "a", number: 1 } },
    { room: "b", message: { room: "b", number: 2 } },
    { room: "c", message: { room: "c", number: 3 } },
  ]);
  const text = await reply.until((got) => got.split("\n").length > 2);
  assert.deepEqual(
    text
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { number: number }).number),
    [1, 2],
  );
  reply.request.destroy();
  await members(hub, 0);
  assert.equal((await hub.statistics()).rooms, 0);
});

test("rooms that cannot be joined are refused, naming the field", async () => {
  await using servers = await startTopics({ maxRoomsPerCall: 2 });
  const ask = async (rooms: readonly string[]) => {
    const query = rooms.map((room) => `rooms=${encodeURIComponent(room)}`).join("&");
    const answer = await fetch(`http://127.0.0.1:${servers.httpPort}/test/v1/live?${query}`);
    const { code, message } = (await answer.json()) as { code: number; message: string };
    return `${code} ${message}`;
  };
  assert.match(await ask([""]), /^3 rooms\[0\]: the name of a room is missing/);
  assert.match(await ask(["ok", "a\u0007"]), /^3 rooms\[1\]: .* no control characters/);
  assert.match(await ask(["x".repeat(256)]), /^3 rooms\[0\]: .* at most 255 bytes/);
  assert.match(await ask(["a", "b", "c"]), /^8 a call joins at most 2 rooms/);
  assert.equal((await servers.hub.statistics()).members, 0);
  const { room, all } = servers;
  for (const name of ["", "\ud800", "x".repeat(256), "a\nb"]) {
    await assert.rejects(room.publish(name, {}), /room: the name of a room/);
  }
  await assert.rejects(
    all.publish("a", { $typeName: "x.Y" } as object),
    /is of tsms\.test\.v1\.WatchAllRoomsResponse, and the message of x\.Y/,
  );
});

test("authorize decides on every room, and what it grants filters", async () => {
  const asked: string[] = [];
  await using servers = await startTopics(
    {},
    {
      authorize({ user, room, request, connection }) {
        asked.push(`${user} ${room} ${request?.tenant} ${connection.door}`);
        if (user === "mallory") throw new ConnectError("not your room", Code.PermissionDenied);
        if (user === "broken") throw new Error("secret");
        return { filter: { header: "level", above: 3 } };
      },
    },
  );
  const { hub, room, httpPort } = servers;
  const url = `http://127.0.0.1:${httpPort}${path}`;
  for (const [user, status] of [
    ["mallory", 403],
    ["broken", 500],
  ] as const) {
    const answer = await fetch(url, { headers: { "x-member": user } });
    assert.equal(answer.status, status);
    assert.doesNotMatch(await answer.text(), /secret/);
  }
  assert.equal((await hub.statistics()).members, 0);
  const reply = await openStream(url, { headers: { "x-member": "ada", accept: "application/x-ndjson" } });
  await members(hub, 1);
  assert.deepEqual(
    asked,
    ["mallory acme.lobby acme rest", "broken acme.lobby acme rest", "ada acme.lobby acme ndjson"].map(
      (line) => line.replace(" rest", " ndjson"),
    ),
  );
  const low = await room.publish("acme.lobby", { text: "low" }, { headers: { level: "3" } });
  assert.deepEqual([low.members, low.filtered, low.sent], [1, 1, 0]);
  const high = await room.publish("acme.lobby", { text: "high" }, { headers: { level: "4" } });
  assert.deepEqual([high.filtered, high.sent], [0, 1]);
  const text = await reply.until((got) => got.includes("\n"));
  assert.match(text, /"high"/);
  assert.doesNotMatch(text, /"low"/);
  reply.request.destroy();
});

test("send reaches each selected connection once, and broadcast every one", async () => {
  await using servers = await startTopics();
  const { hub, room, httpPort } = servers;
  const socket = await new SocketClient(`ws://127.0.0.1:${httpPort}/ws`, [], {
    headers: { "x-member": "ada" },
  }).open();
  for (const [id, name] of [
    [1, "a"],
    [2, "b"],
  ] as const) {
    const message = { tenant: "acme", room: name };
    socket.send(JSON.stringify({ id, method: "tsms.test.v1.LiveService/WatchRoom", message }));
  }
  const url = `http://127.0.0.1:${httpPort}${path}`;
  const bob = await openStream(url, { headers: { "x-member": "bob", accept: "application/x-ndjson" } });
  await members(hub, 3);
  const toAda = await room.send({ users: ["ada"] }, { text: "for ada" });
  assert.deepEqual([toAda.members, toAda.sent], [1, 1]);
  const toAll = await room.broadcast({ text: "for all" });
  assert.deepEqual([toAll.members, toAll.sent], [2, 2]);
  const texts = [await socket.json(), await socket.json()].map(({ message }) => (message as Reply).text);
  assert.deepEqual(texts, ["for ada", "for all"]);
  assert.match(await bob.until((got) => got.includes("\n")), /"for all"/);
  await assert.rejects(room.send({}, {}), /a selector needs a field/);
  await assert.rejects(room.send({ topics: ["liv"] }, {}), /selector\.topics: there is no topic "liv"/);
  bob.request.destroy();
});

test("what is published is checked", async () => {
  const hub = new Hub({ maxMessageBytes: 100 });
  const topic = hub.topic("t", WatchRoomResponseSchema);
  const code = async (options: object, message: object = {}): Promise<string> => {
    const error = await topic.publish("r", message, options).then(
      () => undefined,
      (reason: unknown) => ConnectError.from(reason),
    );
    return `${error?.code} ${error?.rawMessage}`;
  };
  assert.match(await code({ headers: { "ts-ms-x": "" } }), /^3 headers: "ts-ms-x" is no name/);
  assert.match(await code({ headers: { UP: "" } }), /^3 headers: "UP" is no name/);
  assert.match(await code({ headers: { a: "b\r\nc" } }), /^3 headers: a: a text/);
  assert.match(await code({ headers: { a: "x".repeat(1025) } }), /^3 headers: a: a text/);
  const many = Object.fromEntries(Array.from({ length: 17 }, (_, place) => [`h${place}`, ""]));
  assert.match(await code({ headers: many }), /^3 headers: 17 headers; at most 16/);
  assert.match(await code({ id: "x".repeat(129) }), /^3 id: a text of 1 to 128/);
  assert.match(await code({ to: { users: "ada" } }), /^3 selector\.users/);
  assert.match(await code({}, { text: "x".repeat(100) }), /^8 the message has \d+ bytes; at most 100/);
  assert.match(await code({}, { numbers: [2 ** 40] }), /^3 the message cannot be sent/);
  assert.throws(() => hub.topic("t", WatchRoomResponseSchema), /there is a topic "t" already, of t/);
  assert.throws(() => hub.topic("a/b", WatchRoomResponseSchema), /"a\/b" is no name of a topic/);
});

test("authorize that hangs is UNAVAILABLE, and a call that ends meanwhile is in no room", async () => {
  const clock = new VirtualClock();
  const hub = new Hub({}, { clock });
  const topic = hub.topic("t", WatchRoomResponseSchema, { authorize: () => new Promise<void>(() => {}) });
  const join = async () => {
    const head = madeCall({ method: LiveService.method.watchRoom });
    await hub.attach().gate.admit(head);
    const first = topic.join("r", head.context)[Symbol.asyncIterator]().next();
    return {
      head,
      failed: first.then(
        () => undefined,
        (reason: unknown) => ConnectError.from(reason).code,
      ),
    };
  };
  const hanging = await join();
  const leaving = await join();
  leaving.head.context.abort(new ConnectError("left", Code.Canceled));
  assert.equal(await leaving.failed, Code.Canceled);
  await clock.pass(5_000);
  assert.equal(await hanging.failed, Code.Unavailable);
  assert.equal(clock.nextMs, undefined, "no timer is left");
  const { members: left, rooms } = await hub.statistics();
  assert.deepEqual([left, rooms], [0, 0]);
});

test("R01: calls that join and leave, a third cut amid authorize, leave nothing behind", () =>
  joinAndLeave(1_500));
