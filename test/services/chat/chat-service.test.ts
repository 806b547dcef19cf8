/** The chat as its clients see it: its state first, then every change. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { anyUnpack, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Client } from "@connectrpc/connect";
import { ChatService as descriptor, type RoomEvent } from "../../../gen/chat/v1/chat_pb.ts";
import { dial } from "../../../src/core/dial.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { Hub } from "../../../src/hub/hub.ts";
import { ChatService } from "../../../src/services/chat/chat-service.ts";

const hub = new Hub();
const grpc = new GrpcServer({ port: 0, hub }).addService(new ChatService(hub));
let transport: ReturnType<typeof dial>;
let chat: Client<typeof descriptor>;

before(async () => {
  await grpc.start();
  transport = dial(`127.0.0.1:${grpc.address?.port}`);
  chat = createClient(descriptor, transport);
});

after(async () => {
  transport.close();
  await grpc.gracefulStop({ graceMs: 0 });
});

const textOf = ({ event }: RoomEvent): string =>
  event.case === "line" ? event.value.text : (event.case ?? "");

/** Watches a room until a text comes. @param headers of the call */
async function until(
  text: string,
  room: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<RoomEvent[]> {
  const events: RoomEvent[] = [];
  for await (const event of chat.watchRoom({ room, user: "watcher" }, { headers })) {
    if (event.event.case === "line") events.push(event);
    if (textOf(event) === text) return events;
  }
  return assert.fail(`the stream has ended without ${text}`);
}

const refusedFor = (field: string) => (error: unknown) => {
  assert.ok(error instanceof ConnectError);
  assert.equal(error.code, Code.InvalidArgument);
  assert.match(error.rawMessage, new RegExp(`^${field} `));
  return true;
};

test("who comes in gets what was said, then what is said", async () => {
  for (const text of ["one", "two"]) await chat.say({ room: "lobby", user: "Ada", text });
  const watching = until("three", "lobby");
  while ((await chat.listRooms({})).rooms.find(({ name }) => name === "lobby")?.members !== 1);
  await chat.say({ room: "lobby", user: "Ada", text: "three" });
  const events = await watching;
  assert.deepEqual(events.map(textOf), ["one", "two", "three"]);
  assert.deepEqual(
    events.map(({ id }) => id !== ""),
    [false, false, true],
    "the state has no positions",
  );
});

test("who comes back gets what was said since, and that alone", async () => {
  const first = await chat.say({ room: "resumed", user: "Ada", text: "one" });
  for (const text of ["two", "three"]) await chat.say({ room: "resumed", user: "Ada", text });
  const events = await until("three", "resumed", { "last-event-id": first.position });
  assert.deepEqual(events.map(textOf), ["two", "three"]);
});

test("a line that is said again with its id is one line", async () => {
  const line = { room: "once", user: "Ada", text: "hello", id: "made-by-me" };
  const [first, again] = [await chat.say(line), await chat.say(line)];
  assert.equal(first.id, "made-by-me");
  assert.equal(again.position, first.position);
  await chat.say({ ...line, id: "", text: "end" });
  assert.deepEqual((await until("end", "once")).map(textOf), ["hello", "end"]);
});

test("who is writing is told, and kept nowhere", async () => {
  const first = (async () => {
    for await (const typing of chat.watchTyping({ room: "lobby" })) return typing;
    return undefined;
  })();
  while ((await hub.count({ rooms: ["typing/lobby"] })).total === 0) await setImmediate();
  await chat.showTyping({ room: "lobby", user: "Ada", typing: true });
  const typing = await first;
  assert.deepEqual([typing?.user, typing?.typing], ["Ada", true]);
});

test("rooms, names and lines have limits, and errors name the field", async () => {
  await assert.rejects(chat.say({ room: "a room", text: "x" }), refusedFor("room"));
  await assert.rejects(chat.say({ room: "lobby", text: "  " }), refusedFor("text"));
  await assert.rejects(chat.say({ room: "lobby", text: "x".repeat(2_001) }), refusedFor("text"));
  await assert.rejects(chat.say({ room: "lobby", text: "x", user: "x".repeat(41) }), refusedFor("user"));
  await assert.rejects(chat.say({ room: "lobby", text: "x", id: "x".repeat(65) }), refusedFor("id"));
  await assert.rejects(chat.showTyping({ room: "" }), refusedFor("room"));
  await assert.rejects(until("never", "../lobby"), refusedFor("room"));
});

test("who is there is told, by name", async () => {
  const names: string[] = [];
  for await (const { event } of chat.watchRoom({ room: "present", user: "Ada" })) {
    if (event.case !== "presence") continue;
    for (const { info } of event.value.members)
      names.push((info && anyUnpack(info, StringValueSchema)?.value) ?? "");
    if (names.length > 0) break;
  }
  assert.deepEqual(names, ["Ada"]);
});

test("rooms are those to begin with, and those in which somebody is", async () => {
  const watching = until("end", "attic");
  while ((await hub.count({ rooms: ["chat/attic"] })).total === 0) await setImmediate();
  const { rooms } = await chat.listRooms({});
  assert.deepEqual(
    rooms.slice(0, 3).map(({ name }) => name),
    ["lobby", "kitchen", "workshop"],
  );
  assert.equal(rooms.find(({ name }) => name === "attic")?.members, 1);
  await chat.say({ room: "attic", text: "end" });
  const [line] = await watching;
  assert.equal(line?.event.case === "line" && line.event.value.user, "guest");
});
