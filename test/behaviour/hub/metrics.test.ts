/** What a page of metrics says of a hub, series by series. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { LiveService } from "../../../gen/tsms/test/v1/live_pb.ts";
import { dial } from "../../../src/core/dial.ts";
import { metricList } from "../../../src/core/telemetry/metric-list.ts";
import { startTracing } from "../../../src/core/telemetry/tracing/tracing.ts";
import { MemoryStore } from "../../../src/hub/bus/memory-bus.ts";
import { failure } from "../../support/failure.ts";
import { OtlpReceiver } from "../../support/otlp-receiver.ts";
import { SocketClient } from "../websocket/socket-client.ts";
import { someSeries as some } from "./hub-series.ts";
import { doors } from "./kept-followers.ts";
import { startKept } from "./kept-rooms.ts";
import { members } from "./topic-servers.ts";

const results = [
  ...["rooms", "members", "lagging", "published_total", "deliveries_total", "joins_total", "resumes_total"],
  ...["delivery_seconds_count"],
];

test("rule 62: each node counts what its own members get, whichever node has published it", async () => {
  const store = new MemoryStore();
  await using first = await startKept({ store });
  await using second = await startKept({ store });
  const start = await first.kept.position("a");
  const followers = [first, second, second].map((node) => doors["sse"]?.(node, undefined, 2));
  await members(first.hub, 1);
  await members(second.hub, 2);
  const held = await some(second, "rooms", "members", "connections", "connections_opened_total");
  assert.deepEqual(held, {
    'rooms{topic="kept"}': 1,
    'members{topic="kept"}': 2,
    'connections{door="sse"}': 2,
    'connections_opened_total{door="sse"}': 2,
  });
  await first.kept.publish("a", { text: "one" });
  await first.kept.publish("a", { text: "two" });
  for (const follower of followers) await follower;
  await members(first.hub, 0);
  await members(second.hub, 0);
  assert.deepEqual(await some(first, ...results), {
    'published_total{topic="kept"}': 2,
    'deliveries_total{topic="kept",result="sent"}': 2,
    'delivery_seconds_count{topic="kept"}': 2,
    'joins_total{topic="kept",code="OK"}': 1,
    'resumes_total{topic="kept",result="fresh"}': 1,
  });
  assert.deepEqual(await some(second, ...results), {
    'deliveries_total{topic="kept",result="sent"}': 4,
    'joins_total{topic="kept",code="OK"}': 2,
    'resumes_total{topic="kept",result="fresh"}': 2,
  });
  assert.equal((await second.hub.statistics()).delivered, 4);
  await doors["sse"]?.(second, start, 2);
  await members(second.hub, 0);
  assert.deepEqual(await some(second, "deliveries_total", "resumes_total", "published_total"), {
    'deliveries_total{topic="kept",result="sent"}': 4,
    'deliveries_total{topic="kept",result="replayed"}': 2,
    'resumes_total{topic="kept",result="fresh"}': 2,
    'resumes_total{topic="kept",result="recovered"}': 1,
  });
  const lost = await doors["sse"]?.(second, "ABCDEFGH.7", 0);
  assert.equal(lost?.resume, "reset");
  assert.deepEqual(await some(second, "resets_total"), { 'resets_total{topic="kept",reason="UNKNOWN"}': 1 });
});

test("rule 62: what waits for members is there while it waits", async () => {
  await using node = await startKept();
  const client = await new SocketClient(`${node.url.replace("http", "ws")}/ws`).open();
  client.send(JSON.stringify({ hello: {} }));
  const call = { method: "tsms.test.v1.LiveService/FollowRooms", message: { rooms: ["a"] }, end: true };
  client.send(JSON.stringify({ id: 1, ...call }));
  await client.json();
  client.send(JSON.stringify({ id: 1, pause: true }));
  client.send(JSON.stringify({ id: 3, method: "tsms.test.v1.LiveService/Nothing" }));
  await client.json(); // The frame before has been read.
  await node.kept.publish("a", { text: "one" }); // It is on its way already.
  await node.kept.publish("a", { text: "two" });
  await node.kept.broadcast({ text: "three" });
  const waiting = await some(
    node,
    "lagging",
    "ring_bytes",
    "direct_bytes",
    "deliveries_total",
    "published_total",
  );
  const { ring_bytes: ring = 0, direct_bytes: direct = 0, ...counted } = waiting;
  assert.ok(ring > 0 && direct > 0, JSON.stringify(waiting));
  assert.equal(counted['lagging{topic="kept"}'], 1);
  assert.equal(counted['published_total{topic="kept"}'], 3);
  client.send(JSON.stringify({ id: 1, pause: false }));
  for (let message = 0; message < 3; message++) await client.json();
  const { ring_bytes: after, ...rest } = await some(node, "lagging", "direct_bytes", "ring_bytes");
  assert.deepEqual(rest, {});
  assert.equal(after, ring);
  client.ws.close();
});

test("rule 62: refused joins and connections, closed ones, nodes and the bus", async () => {
  await using node = await startKept({
    hub: { maxPerAddress: 1 },
    kept: {
      authorize: ({ room }) => {
        if (room === "secret") throw new Error("a handler fails");
      },
    },
  });
  const client = createClient(LiveService, dial(node.grpcAddress));
  const join = async (rooms: string[]): Promise<void> => {
    for await (const _ of client.followRooms({ rooms })) return;
  };
  await failure(join(["secret"]));
  const reading = join(["a"]);
  await members(node.hub, 1);
  await failure(join(["a"]));
  await node.hub.close({ everybody: true }, { reconnect: false });
  await failure(reading);
  await members(node.hub, 0);
  const names = ["joins_total", "refused_total", "closed_total", "nodes", "bus_up", "bus_errors_total"];
  assert.deepEqual(await some(node, ...names), {
    'joins_total{topic="kept",code="INTERNAL"}': 1,
    'joins_total{topic="kept",code="OK"}': 1,
    'refused_total{reason="max_per_address"}': 1,
    'closed_total{door="grpc",reason="failed"}': 1,
    'closed_total{door="grpc",reason="closed"}': 1,
    nodes: 1,
    'bus_up{bus="memory"}': 1,
  });
});

test("rule 62: a page has every metric of hubs, and a room or a user is no label of any", () => {
  const ofHubs = Object.values(metricList).filter(({ name }) => name.startsWith("ts_ms_hub_"));
  const names = ofHubs.map(({ name }) => name.slice("ts_ms_hub_".length));
  const due = [
    ...["connections", "connections_opened_total", "refused_total", "closed_total", "rooms", "members"],
    ...[
      "published_total",
      "deliveries_total",
      "encodings_total",
      "resumes_total",
      "resets_total",
      "gaps_total",
    ],
    ...["delivery_seconds", "lagging", "ring_bytes", "direct_bytes", "joins_total", "acks_total", "nodes"],
    ...["bus_up", "bus_seconds", "bus_errors_total"],
  ];
  assert.deepEqual(
    due.filter((name) => !names.includes(name)),
    [],
  );
  for (const { name, labels } of ofHubs) {
    for (const label of labels) assert.ok(!/room|user/.test(label), name);
  }
});

test("rule 62: a publication has a span, which is part of the call that it is from; its deliveries have none", async () => {
  const receiver = await new OtlpReceiver().start();
  const traces = await startTracing({ endpoint: receiver.url, sampleRatio: 1, service: "chat" });
  try {
    await using node = await startKept();
    const { position } = await node.kept.publish("a", { text: "one" }, { id: "id-1" });
    assert.ok(position !== undefined);
    await node.kept.broadcast({ text: "two" }, { id: "id-2" });
    await failure(node.kept.publish("a", { text: "three" }, { signal: AbortSignal.abort() }));
    while (receiver.spans.length < 3) {
      await traces.flush();
      await wait(1);
    }
    const sent = receiver.spans.map(({ name, kind, attributes, status }) => ({
      ...{ name, kind, id: attributes["messaging.message.id"], code: status.code ?? 0 },
      ...{ system: attributes["messaging.system"], error: attributes["error.type"] },
    }));
    const span = { name: "send kept", kind: 4, system: "memory" };
    assert.deepEqual(sent.slice(0, 2), [
      { ...span, id: "id-1", code: 0, error: undefined },
      { ...span, id: "id-2", code: 0, error: undefined },
    ]);
    assert.deepEqual([sent[2]?.error, sent[2]?.code], ["CANCELLED", 2]);
  } finally {
    await traces.stop();
    await receiver.stop();
  }
});
