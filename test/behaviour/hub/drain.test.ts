/** Rule 54: how the members of rooms leave a node that stops. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { LiveService } from "../../../gen/tsms/test/v1/live_pb.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { eventsOf, openStream } from "../streams/stream-client.ts";
import { SocketClient, within } from "../websocket/socket-client.ts";
import { startKept } from "./kept-rooms.ts";
import { members } from "./topic-servers.ts";

type Node = Awaited<ReturnType<typeof startKept>>;

const sse = { headers: { accept: "text/event-stream" } };
const follow = { method: "tsms.test.v1.LiveService/FollowRooms", message: { rooms: ["a"] }, end: true };

const eventsAt = ({ url }: Node) => openStream(`${url}/test/v1/kept?rooms=a`, sse);

async function socketTo({ url }: Node): Promise<SocketClient> {
  const client = await new SocketClient(`${url.replace("http", "ws")}/ws`).open();
  client.send(JSON.stringify({ hello: {} }), JSON.stringify({ id: 1, ...follow }));
  await client.json();
  return client;
}

test("rule 54: streams end in turn, by 20 a second, and each client hears when to come back", async () => {
  await using node = await startKept({ hub: { drain: { perSecond: 20, maxMs: 12_000 } } });
  const replies = await Promise.all(Array.from({ length: 11 }, () => eventsAt(node)));
  await members(node.hub, replies.length);
  const startedMs = performance.now();
  const ends = replies.map(async (reply) => {
    assert.equal(await reply.over, "complete");
    return performance.now() - startedMs;
  });
  const { finished, notified, cut } = await node.http.gracefulStop({ graceMs: 10_000 });
  const times = (await Promise.all(ends)).toSorted((one, other) => one - other);
  assert.deepEqual({ finished, notified, cut }, { finished: replies.length, notified: [], cut: [] });
  const [first = 0, last = 0] = [times[0], times.at(-1)];
  assert.ok(last - first >= 400 && last < 5_000, `0.5 s are due: ${times.map(Math.round).join(" ")}`);
  for (const reply of replies) {
    const text = reply.text();
    const [, retryMs = ""] = /^retry: (\d+)$/m.exec(text.slice(text.lastIndexOf("retry:"))) ?? [];
    assert.ok(Number(retryMs) >= 1_000 && Number(retryMs) <= 1_600, text);
    const { event, data = "{}" } = eventsOf(text).at(-1) ?? {};
    assert.deepEqual([event, (JSON.parse(data) as { code: number }).code], ["error", Code.Unavailable]);
  }
});

test("rule 54: a socket hears goaway, joins no more, and keeps what it has until its turn", async () => {
  await using node = await startKept({ hub: { drain: { perSecond: 2, maxMs: 12_000 } } });
  const clients = [await socketTo(node), await socketTo(node), await socketTo(node), await socketTo(node)];
  await members(node.hub, 4);
  const stopping = node.http.gracefulStop({ graceMs: 10_000 });
  const heard = await Promise.all(clients.map(async (client) => Object.keys(await client.json())));
  assert.ok(
    heard.every(([name]) => name === "goaway"),
    JSON.stringify(heard),
  );
  const refused = clients.at(-1);
  refused?.send(JSON.stringify({ id: 2, ...follow }));
  const late = (await refused?.json()) as { id?: number; status?: { code: number } } | undefined;
  assert.deepEqual([late?.id, late?.status?.code], [2, Code.Unavailable]);
  assert.ok((await node.hub.statistics()).members > 0, "others wait for their turn");
  await node.kept.publish("a", { text: "until the end" });
  await stopping;
  const texts = await Promise.all(clients.map((client) => client.texts()));
  const got = texts.filter((frames) => frames.some((frame) => frame.includes("until the end")));
  assert.ok(got.length >= 2, JSON.stringify(texts));
  for (const frames of texts) {
    const statuses = frames.map((frame) => JSON.parse(frame) as { id?: number; status?: { code: number } });
    assert.equal(statuses.findLast(({ id }) => id === 1)?.status?.code, Code.Unavailable);
  }
});

test("rule 54: a long poll is answered at once, and its token goes on elsewhere", async () => {
  await using node = await startKept();
  const url = `${node.url}/test/v1/kept?rooms=a`;
  const answer = fetch(url, { headers: { prefer: "wait=30" } });
  await members(node.hub, 1);
  const startedMs = performance.now();
  const { finished, cut } = await node.http.gracefulStop({ graceMs: 10_000 });
  assert.ok(performance.now() - startedMs < 2_000);
  assert.deepEqual({ finished, cut }, { finished: 1, cut: [] });
  const { status, headers } = await answer;
  assert.equal(status, 204);
  assert.match(headers.get("x-resume-token") ?? "", /^\w{8}\.\d+$/);
});

test("rule 54: who does not read until the grace is over is cut, and the report counts it", async () => {
  await using node = await startKept({ hub: { maxMessageBytes: 1_000_000 } });
  const stalled = await eventsAt(node);
  const other = await eventsAt(node);
  await members(node.hub, 2);
  stalled.response.pause();
  stalled.request.socket?.pause();
  const text = "x".repeat(500_000);
  const lags = async (): Promise<boolean> =>
    (await node.hub.connections()).connections.some(({ lagMs }) => lagMs > 0);
  const behind = (async () => {
    while (!(await lags())) {
      await node.kept.publish("a", { text });
      await wait(1);
    }
  })();
  await within(behind, "a member that is behind");
  const report = await node.http.gracefulStop({ graceMs: 400 });
  assert.equal(await other.over, "complete");
  assert.deepEqual([report.finished, ...report.cut], [1, "tsms.test.v1.LiveService/FollowRooms"]);
  stalled.request.destroy();
});

test("rule 10: each door ends the stream of a server that stops in its own way", async () => {
  await using node = await startKept();
  const { url } = node;
  const lines = await openStream(`${url}/test/v1/kept?rooms=a`, {
    headers: { accept: "application/x-ndjson" },
  });
  const socket = await new SocketClient(`${url.replace("http", "ws")}/test/v1/kept?rooms=a`).open();
  const byGrpc = createClient(LiveService, dial(node.grpcAddress));
  const byConnect = createClient(LiveService, createConnectTransport({ baseUrl: url, httpVersion: "1.1" }));
  const ended = [byGrpc, byConnect].map(async (client) => {
    try {
      for await (const _ of client.followRooms({ rooms: ["a"] }));
    } catch (reason) {
      const error = ConnectError.from(reason);
      return { code: error.code, retries: error.findDetails(RetryInfoSchema).length };
    }
    return undefined;
  });
  await members(node.hub, 4);
  const stopped = Promise.all([node.http.gracefulStop(), node.grpc.gracefulStop()]);
  const unavailable = { code: Code.Unavailable, retries: 1 };
  assert.deepEqual(await Promise.all(ended), [unavailable, unavailable]);
  const { status, code } = await socket.end();
  assert.deepEqual([status, code], [Code.Unavailable, 1001]);
  assert.equal(await lines.over, "complete");
  const last = JSON.parse(lines.text().trimEnd().split("\n").at(-1) ?? "") as { error: { code: number } };
  assert.equal(last.error.code, Code.Unavailable);
  await stopped;
});
