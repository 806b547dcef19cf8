import assert from "node:assert/strict";
import { test } from "node:test";
import { sharedOf } from "../../../src/core/codec/shared-message.ts";
import { MemoryStore } from "../../../src/hub/bus/memory-bus.ts";
import { eventsOf, openStream } from "../streams/stream-client.ts";
import { within } from "../websocket/socket-client.ts";
import { byArray, doors, itemsOf, path, type Reply } from "./kept-followers.ts";
import { startKept } from "./kept-rooms.ts";

const quiet = new Set(["websocket"]);

for (const [door, follow] of Object.entries(doors)) {
  test(`by ${door} a client resumes on any node, and learns its position before any message`, async () => {
    const store = new MemoryStore();
    await using first = await startKept({ store });
    await using second = await startKept({ store });
    const start = await first.kept.position("a");
    if (!quiet.has(door)) {
      assert.deepEqual(await follow(first, undefined, 0), {
        position: start,
        resume: "fresh",
        ids: [],
        texts: [],
      });
    }
    const sent: string[] = [];
    for (let i = 1; i <= 4; i++) sent.push((await first.kept.publish("a", { text: `m${i}` })).position ?? "");
    const [, two = ""] = sent;
    const expected = quiet.has(door)
      ? { position: undefined, resume: undefined }
      : { position: two, resume: "recovered" };
    for (const node of [first, second, first]) {
      const got = await follow(node, two, 2);
      assert.deepEqual(
        got,
        { ...expected, ids: sent.slice(2), texts: ["m3", "m4"] },
        "the same position, again and again",
      );
    }
    const live = follow(second, sent[3], 1);
    while ((await second.hub.statistics()).members === 0) await new Promise(setImmediate);
    const next = (await first.kept.publish("a", { text: "m5" })).position;
    assert.deepEqual((await live).ids, [next]);
  });
}

test("rule 20: a message is encoded once for each form, however many members there are", async () => {
  await using node = await startKept();
  const { kept, hub } = node;
  const encodings: Record<string, unknown> = {};
  let read = (): void => {};
  hub.watch({
    watch(metric, values) {
      if (metric !== "hubEncodings") return () => {};
      read = () => {
        for (const { labels, value } of values()) encodings[labels["form"] ?? ""] = value;
      };
      return () => {};
    },
  });
  const follows = ["sse", "sse", "sse", "ndjson", "ndjson", "websocket", "websocket", "grpc", "grpc", "grpc"];
  const all = follows.map(async (door) => doors[door]?.(node, undefined, 2));
  while ((await hub.statistics()).members < follows.length) await new Promise(setImmediate);
  const message = { text: "1" };
  await kept.publish("a", message);
  message.text = "changed";
  await kept.publish("a", { text: "2" });
  for (const got of await Promise.all(all)) assert.deepEqual(got?.texts, ["1", "2"]);
  const [first] = (await kept.history("a")).messages;
  // JSON, the event of it, its frame on sockets, and protobuf.
  assert.equal(first && sharedOf(first.message)?.formCount, 4);
  read();
  assert.deepEqual(encodings, { json: 2, sse: 2, protobuf: 2 }, "of two messages");
});

test("a call with several rooms has all its positions in one id", async () => {
  await using node = await startKept();
  const { kept, url } = node;
  const read = async (query: string, after: string, count: number) => {
    const reply = await openStream(`${url}/test/v1/kept?${query}`, {
      headers: { accept: "text/event-stream", "last-event-id": after },
    });
    const text = await reply.until(
      (so) => eventsOf(so).filter(({ event }) => event === "message").length >= count && so.includes("id: "),
    );
    reply.request.destroy();
    const events = eventsOf(text).filter(({ event }) => event === "message");
    return {
      resume: reply.response.headers["ts-ms-resume"],
      at: String(reply.response.headers["ts-ms-position"]),
      ids: events.map(({ id }) => id ?? ""),
      texts: events.map(({ data }) => (JSON.parse(data) as Reply).text),
    };
  };
  const begin = await read("rooms=a&rooms=b", "", 0);
  assert.equal(begin.resume, "fresh");
  assert.match(begin.at, /^[\w-]{6}:[0-9A-Za-z]{8}\.0~[0-9A-Za-z]{8}\.0$/);
  for (const [room, text] of [
    ["a", "a1"],
    ["b", "b1"],
    ["a", "a2"],
  ] as const) {
    await kept.publish(room, { text });
  }
  const all = await read("rooms=b&rooms=a", begin.at, 3);
  assert.equal(all.resume, "recovered");
  assert.deepEqual([...all.texts].sort(), ["a1", "a2", "b1"]);
  assert.deepEqual(new Set(all.ids).size, 3);
  const rest = await read("rooms=a&rooms=b", all.ids[0] ?? "", 2);
  assert.deepEqual(
    [...rest.texts].sort(),
    [...all.texts.slice(1)].sort(),
    "each id is behind what came so far",
  );
  assert.equal((await read("rooms=a&rooms=c", all.ids[0] ?? "", 0)).resume, "reset", "other rooms");
  assert.equal((await read("rooms=a", all.ids[0] ?? "", 0)).resume, "reset");
});

async function poll(url: string, waitS: number, token?: string) {
  const resume = token === undefined ? {} : { "x-resume-token": token };
  const answer = await fetch(url, { headers: { prefer: `wait=${waitS}`, ...resume } });
  const messages = answer.status === 200 ? ((await answer.json()) as Reply[]) : [];
  const { status, headers } = answer;
  return {
    status,
    texts: messages.map(({ text }) => text),
    token: headers.get("x-resume-token") ?? "",
    resume: headers.get("ts-ms-resume"),
    position: headers.get("ts-ms-position"),
    resets: headers.get("ts-ms-reset"),
  };
}

test("rule 10: an array is cut where messages are missing, and its client goes on behind the reset", async () => {
  await using node = await startKept();
  const open = async (after?: string) =>
    openStream(node.url + path, {
      headers: { accept: "application/json", ...(after !== undefined && { "last-event-id": after }) },
    });
  const first = await open();
  await node.kept.publish("a", { text: "one" });
  const [one] = itemsOf(await first.until((text) => itemsOf(text).length === 1));
  await node.kept.clear("a");
  assert.equal(await within(first.over, "the end"), "cut", "never a part as the whole");
  await node.kept.publish("a", { text: "two" });
  const again = await open(one?.id);
  const { headers } = again.response;
  assert.equal(headers["ts-ms-resume"], "reset");
  assert.match(String(headers["ts-ms-reset"]), /RESET_REASON_UNKNOWN/);
  const begin = String(headers["ts-ms-position"]);
  await node.kept.publish("a", { text: "three" });
  assert.deepEqual(
    itemsOf(await again.until((text) => itemsOf(text).length === 1)).map(({ text }) => text),
    ["three"],
  );
  again.request.destroy();
  const behind = await byArray(node, begin, 1);
  assert.deepEqual([behind.resume, behind.texts], ["recovered", ["three"]]);
});

test("a poll that waits for nothing has the position of its join, and one that is reset is told so at once", async () => {
  await using node = await startKept();
  const url = node.url + path;
  const at = await node.kept.position("a");
  const fresh = await poll(url, 0);
  assert.deepEqual(
    [fresh.status, fresh.resume, fresh.position, fresh.token],
    [204, "fresh", at, at],
    "good on every node",
  );
  const reset = await within(poll(url, 60, "zzzzzzzz.3"), "an answer long before the wait is over");
  assert.deepEqual([reset.status, reset.resume, reset.position, reset.token], [204, "reset", at, at]);
  assert.match(reset.resets ?? "", /RESET_REASON_UNKNOWN/);
  await node.kept.publish("a", { text: "next" });
  const next = await poll(url, 60, reset.token);
  assert.deepEqual([next.texts, next.resume], [["next"], null], "once");
});

test("a poll of a topic without history is told of no position", async () => {
  await using node = await startKept();
  const answer = await within(poll(`${node.url}/test/v1/live/t/a`, 0), "an answer");
  assert.deepEqual([answer.status, answer.resume, answer.position], [204, null, null]);
});

test("a poll that waits when its room is cleared is told of the reset, and goes on from its token", async () => {
  await using node = await startKept();
  const url = node.url + path;
  const first = await poll(url, 0);
  const waiting = poll(url, 60, first.token);
  await node.kept.clear("a");
  const answer = await within(waiting, "the reset");
  assert.deepEqual([answer.status, answer.resume], [204, "reset"]);
  assert.equal(answer.token, await node.kept.position("a"));
  await node.kept.publish("a", { text: "behind" });
  const next = await poll(url, 60, answer.token);
  assert.deepEqual([next.texts, next.resume], [["behind"], "recovered"], "nothing is missing from there");
});

test("a position that another client knows too does not give it that client's long poll", async () => {
  const asked: (string | undefined)[] = [];
  await using node = await startKept({
    hub: { identify: ({ requestHeader }) => ({ user: requestHeader.get("x-account") ?? undefined }) },
    kept: { authorize: ({ user }) => void asked.push(user) },
    http: { forwardHeaders: ["x-account"] },
  });
  const poll = (account: string, token?: string): Promise<Response> =>
    fetch(node.url + path, {
      headers: {
        prefer: "wait=0",
        "x-account": account,
        ...(token !== undefined && { "x-resume-token": token }),
      },
    });
  const token = (await poll("ada")).headers.get("x-resume-token") ?? assert.fail("no token");
  await poll("ada", token);
  assert.deepEqual(asked, ["ada"]);
  await poll("bob", token);
  assert.deepEqual(asked, ["ada", "bob"]);
});
