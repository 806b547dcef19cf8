/** Rule 40: a publisher waits until its message was handled. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LiveService } from "../../../gen/tsms/test/v1/live_pb.ts";
import { MemoryStore } from "../../../src/hub/bus/memory-bus.ts";
import { connectHub } from "../../../src/hub-client/connect-hub.ts";
import { failure } from "../../support/failure.ts";
import { openStream } from "../streams/stream-client.ts";
import { SocketClient } from "../websocket/socket-client.ts";
import { startKept } from "./kept-rooms.ts";

type Node = Awaited<ReturnType<typeof startKept>>;
const { followRooms } = LiveService.method;
const follow = { method: "tsms.test.v1.LiveService/FollowRooms", message: { rooms: ["a"] }, end: true };

interface MessageFrame {
  readonly id: number;
  readonly message: { readonly text: string };
  readonly headers?: { readonly "ts-ms-confirm"?: string };
}

/** A client of `/ws` that follows the room `a` by so many calls. */
async function socketIn({ url }: Node, { hello = true, calls = 1 } = {}): Promise<SocketClient> {
  const client = await new SocketClient(`${url.replace("http", "ws")}/ws`).open();
  if (hello) client.send(JSON.stringify({ hello: {} }));
  for (let id = 1; id <= calls; id++) client.send(JSON.stringify({ id, ...follow }));
  if (hello) for (let id = 1; id <= calls; id++) await client.json(); // It has joined.
  return client;
}

async function membersOf(nodes: readonly Node[], count: number): Promise<void> {
  const sum = async (): Promise<number> => {
    const all = await Promise.all(nodes.map(({ hub }) => hub.statistics()));
    return all.reduce((total, { members }) => total + members, 0);
  };
  while ((await sum()) !== count) await new Promise(setImmediate);
}

const confirm = { timeoutMs: 60_000 };

/** Reads the next message, and confirms it. */
async function confirmNext(client: SocketClient): Promise<string> {
  const frame = await (client.json() as Promise<unknown> as Promise<MessageFrame>); // By its protocol.
  client.send(JSON.stringify({ id: frame.id, confirm: frame.headers?.["ts-ms-confirm"] }));
  return frame.message.text;
}

test("rule 40: the receipt comes when each connection has confirmed, by any of its calls", async () => {
  await using node = await startKept();
  const [one, two] = [await socketIn(node), await socketIn(node, { calls: 2 })];
  await membersOf([node], 3);
  let isDone = false;
  const publishing = node.kept.publish("a", { text: "now" }, { confirm });
  void publishing.then(() => (isDone = true));
  assert.equal(await confirmNext(one), "now");
  await two.json();
  await new Promise(setImmediate);
  assert.equal(isDone, false);
  await confirmNext(two);
  const { members, sent, confirmed, unconfirmed } = await publishing;
  assert.deepEqual(
    { members, sent, confirmed, unconfirmed },
    { members: 3, sent: 3, confirmed: 2, unconfirmed: 0 },
  );
  for (const client of [one, two]) client.ws.close();
});

test("rule 40: clients that cannot confirm, and those that leave, are unconfirmed at once", async () => {
  await using node = await startKept();
  const able = await socketIn(node);
  const leaving = await socketIn(node);
  const old = await socketIn(node, { hello: false });
  const events = await openStream(`${node.url}/test/v1/kept?rooms=a`, {
    headers: { accept: "text/event-stream" },
  });
  await membersOf([node], 4);
  const publishing = node.kept.publish("a", { text: "now" }, { confirm });
  await leaving.json();
  leaving.send(JSON.stringify({ id: 1, cancel: true }));
  await confirmNext(able);
  const { confirmed, unconfirmed } = await publishing;
  assert.deepEqual({ confirmed, unconfirmed }, { confirmed: 1, unconfirmed: 3 });
  events.request.destroy();
  for (const client of [able, leaving, old]) client.ws.close();
});

test("rule 40: nobody there, and a time that is over", async () => {
  await using node = await startKept();
  const alone = await node.kept.publish("a", { text: "alone" }, { confirm });
  assert.deepEqual([alone.confirmed, alone.unconfirmed], [0, 0]);
  const client = await socketIn(node);
  const late = await node.kept.publish("a", { text: "late" }, { confirm: { timeoutMs: 20 } });
  assert.deepEqual([late.confirmed, late.unconfirmed], [0, 1]);
  const frame = await (client.json() as Promise<unknown> as Promise<MessageFrame>); // By its protocol.
  client.send(JSON.stringify({ id: 1, confirm: frame.headers?.["ts-ms-confirm"] }));
  // What comes too late changes nothing, and the call goes on.
  const publishing = node.kept.publish("a", { text: "next" }, { confirm });
  await confirmNext(client);
  assert.equal((await publishing).confirmed, 1);
  client.ws.close();
});

test("rule 40: a message that was sent before is not waited for again", async () => {
  await using node = await startKept();
  await node.kept.publish("a", { text: "one" }, { id: "one" });
  const again = await node.kept.publish("a", { text: "one" }, { id: "one", confirm });
  assert.deepEqual([again.duplicate, again.confirmed], [true, undefined]);
});

test("rule 40: connections of all nodes confirm, for rooms and for what is sent to connections", async () => {
  const store = new MemoryStore();
  await using here = await startKept({ store });
  await using there = await startKept({ store });
  const clients = [await socketIn(here), await socketIn(there), await socketIn(there)];
  await membersOf([here, there], 3);
  for (const send of [
    () => here.kept.publish("a", { text: "now" }, { confirm }),
    () => here.kept.broadcast({ text: "now" }, { confirm }),
  ]) {
    const sending = send();
    await Promise.all(clients.map(confirmNext));
    const { members, confirmed, unconfirmed, unreachable } = await sending;
    assert.deepEqual(
      { members, confirmed, unconfirmed, unreachable },
      { members: 3, confirmed: 3, unconfirmed: 0, unreachable: [] },
    );
  }
  const [first, ...others] = clients;
  const sending = here.kept.publish("a", { text: "last" }, { confirm: { timeoutMs: 200 } });
  if (first !== undefined) await confirmNext(first);
  const { confirmed, unconfirmed } = await sending;
  assert.deepEqual({ confirmed, unconfirmed }, { confirmed: 1, unconfirmed: 2 });
  for (const client of [...others, ...(first ? [first] : [])]) client.ws.close();
});

test("rule 40: without a hello nothing is confirmed", async () => {
  await using node = await startKept();
  const client = await socketIn(node, { hello: false });
  await membersOf([node], 1);
  client.send(JSON.stringify({ id: 1, confirm: "x" }));
  const { status } = (await client.json()) as { status: { code: number; message: string } };
  assert.deepEqual([status.code, status.message], [3, "only calls in rooms confirm, behind a hello"]);
  client.ws.close();
});

for (const timeoutMs of [0, -1, Number.NaN, 2 ** 31]) {
  test(`rule 40: a timeout of ${timeoutMs} is refused`, async () => {
    await using node = await startKept();
    const { code, message } = await failure(
      node.kept.publish("a", { text: "x" }, { confirm: { timeoutMs } }),
    );
    assert.equal(code, 3);
    assert.match(message, /confirm: timeoutMs: a number of milliseconds/);
  });
}

test("rule 40: hub-client confirms behind its handler, and what throws counts as handled", async () => {
  await using node = await startKept();
  const errors: unknown[] = [];
  const hub = connectHub(node.url, { transports: ["websocket"], onError: (error) => errors.push(error) });
  const handled = Promise.withResolvers<void>();
  let isDone = false;
  hub.subscribe(
    followRooms,
    { rooms: ["a"] },
    {
      async message({ text }) {
        if (text === "bad") throw new Error("bad");
        await handled.promise;
      },
    },
  );
  await membersOf([node], 1);
  const publishing = node.kept.publish("a", { text: "good" }, { confirm });
  void publishing.then(() => (isDone = true));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(isDone, false);
  handled.resolve();
  assert.equal((await publishing).confirmed, 1);
  assert.equal((await node.kept.publish("a", { text: "bad" }, { confirm })).confirmed, 1);
  assert.equal(errors.length, 1);
  const asked = Promise.withResolvers<void>();
  const reading = (async () => {
    for await (const { text } of hub.subscribe(followRooms, { rooms: ["b"] })) {
      if (text === "last") return;
      await asked.promise;
    }
  })();
  await membersOf([node], 2);
  const iterating = node.kept.publish("b", { text: "first" }, { confirm });
  asked.resolve();
  assert.equal((await iterating).confirmed, 1);
  await node.kept.publish("b", { text: "last" });
  await reading;
  hub.close();
});
