/** Clients that ask for more than anybody needs: names of rooms, headers, tests of a filter. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HubService } from "../../../gen/ts_ms/hub/v1/hub_pb.ts";
import { createClient } from "@connectrpc/connect";
import { dial } from "../../../src/core/dial.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { Hub } from "../../../src/hub/hub.ts";
import { LiveService } from "../../../gen/tsms/test/v1/live_pb.ts";
import { SocketClient } from "../websocket/socket-client.ts";
import { startTopics } from "./topic-servers.ts";

const sockets = 4;
const names = 100_000;

test("R16: few clients that join 100,000 names of rooms get as many rooms as joinsPerSecond lets them", async () => {
  await using node = await startTopics();
  const began = performance.now();
  const before = process.memoryUsage.rss();
  const askFor = async (socket: number): Promise<number> => {
    const client = new SocketClient(`ws://127.0.0.1:${node.httpPort}/ws`);
    await client.open();
    let refused = 0;
    for (let from = 0; from < names / sockets; from += 250) {
      for (let id = from; id < from + 250; id++) {
        const message = { tenant: `t${socket}`, room: `r${id}` };
        client.send(JSON.stringify({ id, method: "tsms.test.v1.LiveService/WatchRoom", message }));
      }
      // A call that is not known is answered behind all before it.
      client.send(JSON.stringify({ id: -1 - from, method: "none", message: {} }));
      refused += await refusals(client, -1 - from);
    }
    client.ws.close();
    return refused;
  };
  const refused = await Promise.all(Array.from({ length: sockets }, (_, socket) => askFor(socket)));
  const seconds = (performance.now() - began) / 1_000;
  const { rooms } = await node.hub.statistics();
  const most = sockets * (200 + 50 * (seconds + 1));
  assert.ok(rooms <= most, `${rooms} rooms, ${most} are allowed`);
  assert.ok(refused.reduce((sum, count) => sum + count, 0) >= names - most - sockets * 250);
  const more = (process.memoryUsage.rss() - before) / 2 ** 20;
  assert.ok(more < 128, `${more} MiB more, with the clients`);
});

/** Reads frames up to the end of a call. @returns how many others have ended with RESOURCE_EXHAUSTED */
async function refusals(client: SocketClient, last: number): Promise<number> {
  for (let refused = 0; ;) {
    const frame = (await client.json()) as {
      id?: number;
      status?: { code?: number };
      error?: { code?: number };
    };
    if (frame.id === last) return refused;
    if ((frame.status ?? frame.error)?.code === Code.ResourceExhausted) refused++;
  }
}

test("R16: 10,000 headers, and a filter of 10,000 tests, are refused by their number", async (t) => {
  const hub = new Hub();
  const kept = hub.topic(LiveService.method.followRooms);
  const grpc = new GrpcServer({ port: 0, hub, logger: false }).addService(hub.service());
  await grpc.start();
  const transport = dial(`127.0.0.1:${grpc.address?.port ?? 0}`);
  t.after(async () => {
    transport.close();
    await grpc.gracefulStop({ graceMs: 0 });
  });
  const headers = Object.fromEntries(Array.from({ length: 10_000 }, (_, at) => [`h-${at}`, "v"]));
  await assert.rejects(kept.publish("a", { text: "a" }, { headers }), { code: Code.InvalidArgument });
  const one = { of: { case: "test", value: { header: "h", value: { case: "is", value: "v" } } } } as const;
  const filters = Array.from({ length: 10_000 }, () => one);
  const listening = async (): Promise<void> => {
    const filter = { of: { case: "all", value: { filters } } } as const;
    for await (const _ of createClient(HubService, transport).listen({ rooms: ["kept/a"], filter })) return;
  };
  await assert.rejects(listening(), (error) => ConnectError.from(error).code === Code.InvalidArgument);
});
