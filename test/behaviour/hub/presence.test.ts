import assert from "node:assert/strict";
import { test } from "node:test";
import { create, createRegistry, fromJson, type JsonValue, type MessageShape } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { PresenceKind } from "../../../gen/ts_ms/hub/v1/events_pb.ts";
import {
  LiveService,
  PersonInfoSchema,
  WatchPeopleResponseSchema,
} from "../../../gen/tsms/test/v1/live_pb.ts";
import { dial } from "../../../src/core/dial.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { Hub } from "../../../src/hub/hub.ts";
import { eventsOf, openStream } from "../streams/stream-client.ts";
import { SocketClient } from "../websocket/socket-client.ts";

type Reply = MessageShape<typeof WatchPeopleResponseSchema>;

/** Users by what they say of themselves, as a client has added them up. */
type People = ReadonlyMap<string, string>;
/** Resolves when a client of a room sees these people. */
type Sees = (until: (people: People) => boolean) => Promise<People>;

const registry = createRegistry(PersonInfoSchema);
const url = "/test/v1/people?rooms=lobby";

async function startPeople() {
  const hub = new Hub({ identify: ({ requestHeader }) => ({ user: requestHeader.get("x-member") ?? "" }) });
  const people = hub.topic(LiveService.method.watchPeople, {
    presence: { batchMs: 5, leaveDelayMs: 0 },
    authorize: ({ user }) => ({ info: create(PersonInfoSchema, { mood: `mood of ${user}` }) }),
  });
  const service = { descriptor: LiveService, watchPeople: people.serve };
  const grpc = new GrpcServer({ port: 0, hub, logger: false }).addService(service);
  const http = new HttpServer({
    port: 0,
    upstream: grpc,
    forwardHeaders: ["x-member"],
    headerFlushMs: 0,
    registry,
    logger: false,
  }).addService(LiveService);
  await grpc.start();
  await http.start();
  return {
    hub,
    people,
    httpPort: http.address?.port ?? 0,
    grpcPort: grpc.address?.port ?? 0,
    async [Symbol.asyncDispose]() {
      await http.gracefulStop({ graceMs: 0 });
      await grpc.gracefulStop({ graceMs: 0 });
    },
  };
}

/** Adds up what one client is told. */
class Sum {
  readonly people = new Map<string, string>();
  #isAmid = false;

  add({ event }: Reply): void {
    if (event.case !== "presence") return;
    const { kind, members, more } = event.value;
    if (kind === PresenceKind.SYNC && !this.#isAmid) this.people.clear();
    this.#isAmid = more;
    for (const { user, info } of members) {
      if (kind === PresenceKind.LEAVE) this.people.delete(user);
      else this.people.set(user, new TextDecoder().decode(info?.value.subarray(2)));
    }
  }
}

function byTransport(transport: Transport, user: string): Sees {
  const headers = { "x-member": user };
  const replies = createClient(LiveService, transport).watchPeople({ rooms: ["lobby"] }, { headers });
  const iterator = replies[Symbol.asyncIterator]();
  const sum = new Sum();
  return async (until) => {
    while (!until(sum.people)) sum.add((await iterator.next()).value as Reply); // It does not end.
    return sum.people;
  };
}

function byJson(read: () => Promise<readonly JsonValue[]>): Sees {
  return async (until) => {
    for (;;) {
      const sum = new Sum();
      for (const json of await read()) sum.add(fromJson(WatchPeopleResponseSchema, json, { registry }));
      if (until(sum.people)) return sum.people;
    }
  };
}

async function byHttp(port: number, user: string, accept: string, linesOf: (text: string) => string[]) {
  const reply = await openStream(`http://127.0.0.1:${port}${url}`, { headers: { accept, "x-member": user } });
  let seen = 0;
  return byJson(async () => {
    const text = await reply.until((some) => linesOf(some).length > seen);
    const lines = linesOf(text);
    seen = lines.length;
    return lines.map((line) => JSON.parse(line) as JsonValue);
  });
}

async function bySocket(port: number, user: string, path: string, call?: object): Promise<Sees> {
  const client = await new SocketClient(`ws://127.0.0.1:${port}${path}`, [], {
    headers: { "x-member": user },
  }).open();
  if (call !== undefined) client.send(JSON.stringify(call));
  const got: JsonValue[] = [];
  return byJson(async () => {
    const frame = (await client.json()) as { readonly message?: JsonValue };
    got.push(call === undefined ? frame : (frame.message ?? {}));
    return got;
  });
}

test("rules 11, 36: who is in a room is told at every door, as messages with infos", async () => {
  await using servers = await startPeople();
  const { httpPort, grpcPort, people } = servers;
  const baseUrl = `http://127.0.0.1:${httpPort}`;
  const call = { id: 1, method: "tsms.test.v1.LiveService/WatchPeople", message: { rooms: ["lobby"] } };
  const lines = (text: string): string[] =>
    text
      .split("\n")
      .slice(0, -1)
      .filter((line) => line !== "");
  const events = (text: string): string[] =>
    eventsOf(text)
      .filter(({ event, data }) => event === "message" && data !== "")
      .map(({ data }) => data);
  const sees: readonly Sees[] = [
    byTransport(dial(`127.0.0.1:${grpcPort}`), "grpc"),
    byTransport(createConnectTransport({ baseUrl, httpVersion: "1.1" }), "connect"),
    byTransport(createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }), "web"),
    await byHttp(httpPort, "sse", "text/event-stream", events),
    await byHttp(httpPort, "ndjson", "application/x-ndjson", lines),
    await bySocket(httpPort, "socket", url),
    await bySocket(httpPort, "many", "/ws", call),
  ];
  const all = ["connect", "grpc", "many", "ndjson", "socket", "sse", "web"];
  for (const see of sees) {
    const found = await see((some) => some.size === all.length);
    assert.deepEqual([...found.keys()].sort(), all);
    for (const [user, mood] of found) assert.equal(mood, `mood of ${user}`);
  }
  const { members, users, connections } = await people.presence("lobby");
  assert.deepEqual([members.length, users, connections], [7, 7, 7]);
  await servers.hub.close({ users: ["grpc"] }, { reconnect: false });
  for (const see of sees.slice(1)) assert.ok(!(await see((some) => some.size === 6)).has("grpc"));
});
