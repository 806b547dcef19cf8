/** Frames of rooms on the socket for many calls, for clients that say hello. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RoomFrames } from "../../../src/gateway/doors/websocket/room-frames.ts";
import { SocketClient } from "../websocket/socket-client.ts";
import { startKept } from "./kept-rooms.ts";

const follow = { method: "tsms.test.v1.LiveService/FollowRooms", message: { rooms: ["a"] }, end: true };

const connect = (url: string): Promise<SocketClient> =>
  new SocketClient(`${url.replace("http", "ws")}/ws`).open();

/** The next frame, of this form by its protocol. */
const next = <T>(client: SocketClient): Promise<T> => client.json() as Promise<T>;

test("a client hears where its calls begin, and the position of each message", async () => {
  await using node = await startKept();
  const client = await connect(node.url);
  client.send(JSON.stringify({ hello: { client: "a test" } }));
  client.send(JSON.stringify({ id: 1, ...follow }));
  const { joined } = await next<{ joined: { position: string; resume: string } }>(client);
  assert.equal(joined.resume, "fresh");
  const { position } = await node.kept.publish("a", { text: "one" });
  const first = await next<{ position: string; message: { text: string } }>(client);
  assert.equal(first.message.text, "one");
  assert.equal(first.position, position);
  client.send(JSON.stringify({ id: 2, ...follow, headers: { "last-event-id": joined.position } }));
  const again = await next<{ id: number; joined: { position: string; resume: string } }>(client);
  assert.deepEqual([again.id, again.joined.resume], [2, "recovered"]);
  const replayed = await next<{ id: number; position: string }>(client);
  assert.deepEqual([replayed.id, replayed.position], [2, position]);
  client.send(JSON.stringify({ id: 3, ...follow, headers: { "last-event-id": "ABCDEFGH.7" } }));
  const reset = await next<{ joined: object }>(client);
  assert.deepEqual({ ...reset.joined, position: "" }, { position: "", resume: "reset", reason: "UNKNOWN" });
  client.ws.close();
});

test("without a hello the socket is as it was", async () => {
  await using node = await startKept();
  const client = await connect(node.url);
  client.send(JSON.stringify({ id: 1, ...follow }));
  client.send(JSON.stringify({ id: 2, method: "tsms.test.v1.LiveService/Nothing" }));
  await client.json(); // The first call has begun.
  while ((await node.hub.count({})).total === 0) await new Promise(setImmediate);
  await node.kept.publish("a", { text: "one" });
  const frame = await next<object>(client);
  assert.deepEqual(Object.keys(frame), ["id", "message"]);
  client.send(JSON.stringify({ id: 1, pause: true }));
  const { status } = await next<{ status: { code: number; message: string } }>(client);
  assert.equal(status.code, 3);
  assert.equal(status.message, "only calls in rooms can pause, behind a hello");
  client.ws.close();
});

test("a call that pauses keeps its place, and others go on", async () => {
  await using node = await startKept();
  const client = await connect(node.url);
  client.send(JSON.stringify({ hello: {} }));
  client.send(JSON.stringify({ id: 1, ...follow }));
  client.send(JSON.stringify({ id: 2, ...follow }));
  await client.json();
  await client.json();
  client.send(JSON.stringify({ id: 1, pause: true }));
  client.send(JSON.stringify({ id: 3, method: "tsms.test.v1.LiveService/Nothing" }));
  await client.json(); // The frame before has been read.
  for (const text of ["one", "two", "three"]) await node.kept.publish("a", { text });
  const texts = new Map<number, string[]>([
    [1, []],
    [2, []],
  ]);
  const take = async (): Promise<void> => {
    const { id, message } = await next<{ id: number; message: { text: string } }>(client);
    texts.get(id)?.push(message.text);
  };
  while ((texts.get(2)?.length ?? 0) < 3) await take();
  assert.ok((texts.get(1)?.length ?? 0) <= 1, "the message that was under way");
  client.send(JSON.stringify({ id: 1, pause: false }));
  while ((texts.get(1)?.length ?? 0) < 3) await take();
  assert.deepEqual(texts.get(1), ["one", "two", "three"]);
  client.ws.close();
});

for (const [name, frames, why] of [
  ["twice", [{ hello: {} }, { hello: {} }], /no member "hello"/],
  ["late", [{ id: 1, ...follow }, { hello: {} }], /no member "hello"/],
  ["with more", [{ hello: { color: "red" } }], /"hello" has no member "color"/],
  ["beside an id", [{ hello: {}, id: 1 }], /"hello" is an object, alone/],
  ["with a long name", [{ hello: { client: "x".repeat(129) } }], /"client" is a string up to 128 characters/],
] as const) {
  test(`a hello ${name} closes the socket`, async () => {
    await using node = await startKept();
    const client = await connect(node.url);
    for (const frame of frames) client.send(JSON.stringify(frame));
    const { code, reason } = await client.closed;
    assert.equal(code, 1007);
    assert.match(reason, why);
  });
}

test("a client that has said hello hears of the server behind silence, and of what was not for it", async () => {
  const frames: string[] = [];
  const beaten = Promise.withResolvers<void>();
  const rooms = new RoomFrames((text) => {
    frames.push(text);
    if (frames.length === 2) beaten.resolve();
  }, 10);
  await beaten.promise;
  rooms.close();
  assert.deepEqual(frames, ['{"beat":1}', '{"beat":2}']);
});

test("what a publisher says beside a message stands beside it, for every call the same text", async () => {
  await using node = await startKept();
  const client = await connect(node.url);
  client.send(JSON.stringify({ hello: {} }));
  for (const id of [1, 2]) {
    client.send(JSON.stringify({ id, ...follow }));
    await client.json();
  }
  await node.kept.publish("a", { text: "one" }, { headers: { lang: "de" }, event: "line" });
  for (const id of [1, 2]) {
    const frame = await next<{ headers: object; event: string; message: { text: string } }>(client);
    assert.deepEqual(Object.keys(frame), ["id", "position", "headers", "event", "message"], `of call ${id}`);
    assert.deepEqual([frame.headers, frame.event, frame.message.text], [{ lang: "de" }, "line", "one"]);
  }
  await node.kept.publish("a", { text: "two" });
  assert.deepEqual(Object.keys(await next<object>(client)), ["id", "position", "message"]);
  client.ws.close();
});

test("the hub says how soon a sign of life comes, and its lists what the client calls itself", async () => {
  await using node = await startKept({ hub: { beatMs: 20 } });
  const client = await connect(node.url);
  client.send(JSON.stringify({ hello: { client: "a test" } }));
  assert.deepEqual(await client.json(), { beat: 1 });
  const { connections } = await node.hub.connections();
  assert.deepEqual(
    connections.map((connection) => connection.client),
    ["a test"],
  );
  client.ws.close();
});

for (const [way, headers, names] of [
  ["events", { accept: "text/event-stream" }, ["ts-ms-position", "ts-ms-resume"]],
  ["a poll", { prefer: "wait=0" }, ["ts-ms-position", "ts-ms-resume", "x-resume-token"]],
] as const) {
  test(`pages of other origins read where ${way} of a room stand`, async () => {
    const origin = "https://app.example.com";
    await using node = await startKept({ http: { corsOrigins: [origin] } });
    const url = `${node.url}/test/v1/kept?rooms=a`;
    const answer = await fetch(url, { headers: { ...headers, origin } });
    const exposed = answer.headers.get("access-control-expose-headers")?.split(", ") ?? [];
    for (const name of names)
      assert.ok(exposed.includes(name) && answer.headers.has(name), `${name} of ${exposed.join()}`);
    await answer.body?.cancel();
  });
}
