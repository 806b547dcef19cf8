/** Fault rows of subscriptions: F04, F06, S15, S16, S21, S24, S25 and Z02; and rule 1 for those that are open. */
import assert from "node:assert/strict";
import { subscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import type { Socket } from "node:net";
import { after, before, suite, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type Client, createClient } from "graphql-ws";
import WebSocket from "ws";
import { graphql } from "../../../src/entries/graphql.ts";
import { openapi } from "../../../src/entries/openapi.ts";
import { builtContract } from "../../support/built-contract.ts";
import { connectTo } from "../../support/gateway-fixture.ts";
import { GraphqlHost, type GraphqlResult } from "../../support/graphql-host.ts";
import { kindsProto } from "../../support/kinds-contract.ts";
import { KindsCalls, kindsServices } from "../../support/kinds-service.ts";
import { SocketClient, within } from "../websocket/socket-client.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void; // The flag has made it.

const built = builtContract({
  "kinds.proto": kindsProto,
  "clash.proto": `
    syntax = "proto3";
    package clash.v1;
    import "ts_ms/v1/faces.proto";
    service ClashService {
      rpc Two(A) returns (A) { option (ts_ms.v1.faces) = {openapi: {operation_id: "same"}}; }
      rpc Three(A) returns (A) { option (ts_ms.v1.faces) = {openapi: {operation_id: "same"}}; }
    }
    message A { string name = 1; }`,
});
const protocol = "graphql-transport-ws";
const init = '{"type":"connection_init"}';
const follow = (id: string, args: string): string =>
  JSON.stringify({
    id,
    type: "subscribe",
    payload: { query: `subscription { follow(${args}) { number text } }` },
  });
const forever = 'count: 1, fail: "never"';

function of(service: string): (typeof built.services)[number] {
  return built.services.find(({ typeName }) => typeName === service) ?? assert.fail(service);
}

suite("faults of subscriptions", () => {
  const calls = new KindsCalls();
  let host: GraphqlHost;
  before(async () => {
    host = await GraphqlHost.of(kindsServices(built, calls));
  });
  after(() => host[Symbol.asyncDispose]());

  function raw(at: GraphqlHost = host, options = {}): Promise<SocketClient> {
    return new SocketClient(at.url.replace("http", "ws"), protocol, options).open();
  }

  /** A socket on which operations may begin. */
  async function ready(at: GraphqlHost = host, options = {}): Promise<SocketClient> {
    const socket = await raw(at, options);
    socket.send(init);
    assert.equal((await socket.json())["type"], "connection_ack");
    return socket;
  }

  function clientOf(at: GraphqlHost): Client {
    return createClient({
      url: at.url.replace("http", "ws"),
      webSocketImpl: WebSocket,
      retryAttempts: 0,
    });
  }

  test("S24: no connection_init, two of them, an id twice, an operation before the answer", async () => {
    for (const [open, messages, code] of [
      [raw, [follow("1", forever)], 4401],
      [ready, [init], 4429],
      [ready, [follow("1", forever), follow("1", forever)], 4409],
      [ready, ["{"], 4400],
      [ready, ["[".repeat(100_000)], 4400],
    ] as const) {
      const socket = await open();
      socket.send(...messages);
      assert.equal((await within(socket.closed, "the close")).code, code, messages.join().slice(0, 100));
    }
    await until(() => calls.open === 0);
    await using hasty = await GraphqlHost.of(kindsServices(built, calls), { initTimeoutMs: 20 });
    assert.equal((await within((await raw(hasty)).closed, "the close")).code, 4408);
  });

  test("S15, S16: text that is no UTF-8, a message above the limit, a binary one", async () => {
    await using small = await GraphqlHost.of(
      kindsServices(built, calls),
      {},
      { maxSocketMessageBytes: 1_000 },
    );
    for (const [data, binary, code] of [
      [Uint8Array.of(0x22, 0xc3, 0x28), false, 1007],
      ["x".repeat(1_001), false, 1009],
      [Uint8Array.of(1), true, 1003],
    ] as const) {
      const socket = await raw(small);
      socket.ws.send(data, { binary });
      assert.equal((await within(socket.closed, "the close")).code, code);
    }
  });

  test("S21: a client that answers no pings is cut, and its subscriptions end", async () => {
    await using watchful = await GraphqlHost.of(kindsServices(built, calls), {}, { socketHeartbeatMs: 100 });
    const socket = await ready(watchful, { autoPong: false });
    const { ended } = calls;
    socket.send(follow("1", forever));
    await until(() => calls.open === 1);
    assert.equal((await within(socket.closed, "the end of the connection")).code, 1006);
    await until(() => calls.ended === ended + 1);
  });

  test("F04, S25: 10,000 subscribe and complete before the first event: all calls end, nothing stays", async () => {
    const client = clientOf(host);
    const { ended } = calls;
    const heaps: number[] = [];
    for (let at = 0; at < 200; at++) {
      const all = Array.from({ length: 50 }, () =>
        client.iterate({ query: "subscription { follow(count: 1, pauseMs: 1000000) { number } }" }),
      );
      const pending = all.map((one) => one.next());
      // Half of them leave as soon as they have asked, before their rpc is called.
      for (const one of all.slice(0, 25)) await one.return?.();
      for (const one of all) await one.return?.();
      await Promise.all(pending);
      await until(() => calls.open === 0);
      calls.rpcs.length = 0;
      if (at % 40 === 39) {
        collect();
        heaps.push(process.memoryUsage().heapUsed);
      }
    }
    // What was called has ended; an operation that left early enough was not called at all.
    assert.ok(calls.ended - ended <= 10_000);
    const [first = 0, ...later] = heaps;
    const grown = Math.min(...later.slice(-2)) - first;
    // Of 6,000 and more operations: less than 128 bytes of each would be left.
    assert.ok(grown < 750_000, `${grown} bytes more: ${heaps.join(", ")}`);
    await client.dispose();
  });

  for (const way of ["a socket", "events"] as const) {
    test(`F04: for a subscriber by ${way} that stops reading, 64 KiB and one write wait`, async () => {
      let produced = 0;
      const [kinds = assert.fail(), ...others] = kindsServices(built, calls);
      const { follow: events } = kinds as unknown as {
        follow: (...args: unknown[]) => AsyncIterable<unknown>;
      };
      const counted = {
        ...kinds,
        async *follow(...args: unknown[]) {
          for await (const event of events(...args)) {
            produced++;
            yield event;
          }
        },
      };
      await using stalling = await GraphqlHost.of([counted, ...others]);
      const accepted: Socket[] = [];
      subscribe("net.server.socket", (message) => void accepted.push((message as { socket: Socket }).socket));
      const leave = way === "events" ? await stalledEvents(stalling) : await stalledSocket(stalling);
      const count = await settled(() => produced);
      const own =
        accepted.find(({ localPort }) => localPort === stalling.http.address?.port) ?? assert.fail();
      const sent = own.bytesWritten - own.writableLength;
      const made = Array.from({ length: count }, (_, at) => eventBytes(way, at + 1));
      const waiting = made.reduce((sum, bytes) => sum + bytes, 0) - sent;
      // What is written in one turn goes out at once.
      const most = 65_536 + 16_384;
      assert.ok(count > 100 && count < 100_000, `${count} events`);
      assert.ok(
        own.writableLength <= most && waiting <= most,
        `${own.writableLength}, ${waiting} bytes wait`,
      );
      const { ended } = calls;
      leave();
      await until(() => calls.ended > ended);
    });
  }

  async function stalledSocket(at: GraphqlHost): Promise<() => void> {
    const socket = await ready(at);
    socket.send(follow("1", "count: 1000000"));
    await socket.next();
    socket.ws.pause();
    return () => socket.ws.terminate();
  }

  test("Z02: queries that are under way at a stop are answered", async () => {
    const stopping = await GraphqlHost.of(kindsServices(built, calls));
    const client = clientOf(stopping);
    const begun = calls.open;
    const asked = [stopping.ask('{ wait(seconds: "2") }'), results(client, '{ wait(seconds: "2") }')];
    await within(
      until(() => calls.open === begun + 2),
      "the calls",
    );
    const { cut, notified } = await stopping.http.gracefulStop({ graceMs: 10_000 });
    assert.deepEqual([cut, notified], [[], []]);
    const [post, socket] = await Promise.all(asked);
    assert.match(JSON.stringify(post), /"data":\{"wait":"20/);
    assert.match(JSON.stringify(socket), /"data":\{"wait":"20/);
    await client.dispose();
    await stopping[Symbol.asyncDispose]();
  });

  test("F06: services that another face refuses change nothing for sockets", async () => {
    const faces = [graphql(), openapi()];
    await using other = await GraphqlHost.of(kindsServices(built, calls), {}, { faces });
    const client = clientOf(other);
    const lines = other.http.describe();
    const clash = [of("clash.v1.ClashService")];
    for (let count = 0; count < 3; count++) {
      assert.throws(() => other.http.replaceServices(clash), /the operation id same/);
      assert.deepEqual(await results(client, "{ echo { int } }"), [{ data: { echo: { int: 0 } } }]);
    }
    assert.deepEqual(other.http.describe(), lines);
    await client.dispose();
  });

  test("rule 1: subscriptions that are open go on under the old contract, later ones have the new one", async () => {
    await using other = await GraphqlHost.of(kindsServices(built, calls));
    const client = clientOf(other);
    const open = client.iterate({ query: "subscription { follow(count: 4, pauseMs: 50) { number } }" });
    const numbers: unknown[] = [];
    for await (const result of open) {
      if (numbers.length === 0) other.http.replaceServices([of("kinds.v1.BookService")]);
      numbers.push(result.data);
    }
    assert.deepEqual(
      numbers,
      [1, 2, 3, 4].map((number) => ({ follow: { number } })),
    );
    const refused = await results(client, "subscription { follow { number } }").then(
      () => "nothing",
      (reason: unknown) => JSON.stringify(reason),
    );
    assert.match(refused, /INVALID_ARGUMENT/);
    assert.deepEqual(await results(client, '{ getBook(name: "books/1") { name } }'), [
      { data: { getBook: { name: "books/1" } } },
    ]);
    await client.dispose();
  });
});

/** What the result of an event takes on the wire, but for chunks of HTTP. */
function eventBytes(way: "a socket" | "events", number: number): number {
  const payload = { data: { follow: { number, text: "x".repeat(1_000) } } };
  if (way === "events") return `event: next\ndata: ${JSON.stringify(payload)}\n\n`.length;
  const head = 4; // Of a frame with more than 125 bytes.
  return head + JSON.stringify({ id: "1", type: "next", payload }).length;
}

/** Asks for events and reads the first of them. */
async function stalledEvents({ http }: GraphqlHost): Promise<() => void> {
  const socket = await connectTo(http.address?.port ?? 0);
  const body = JSON.stringify({ query: "subscription { follow(count: 1000000) { number text } }" });
  socket.write(
    `POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: text/event-stream\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  await once(socket, "data");
  socket.pause();
  return () => socket.destroy();
}

async function results(client: Client, query: string): Promise<readonly GraphqlResult[]> {
  const found: GraphqlResult[] = [];
  for await (const result of client.iterate({ query })) found.push(result as unknown as GraphqlResult); // The same object.
  return found;
}

/** Resolves when a condition holds. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** The value once it has not changed for a while. */
async function settled(value: () => number): Promise<number> {
  for (let before = -1, same = 0; ;) {
    const now = value();
    same = now === before ? same + 1 : 0;
    if (same === 10) return now;
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
