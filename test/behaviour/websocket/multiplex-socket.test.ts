import assert from "node:assert/strict";
import { test } from "node:test";
import { Rooms } from "../../support/rooms-service.ts";
import { everyWay, startGateway, type Gateway } from "../../support/gateway-fixture.ts";
import { SocketClient, within } from "./socket-client.ts";

const service = "tsms.test.v1.EchoService";
const ok = { status: { code: 0, message: "", details: [] }, headers: {}, trailers: {} };

async function connect(gateway: Gateway, query = "", protocols: string[] = []): Promise<SocketClient> {
  return new SocketClient(`ws://127.0.0.1:${gateway.port}/ws${query}`, protocols).open();
}

function send(client: SocketClient, ...envelopes: object[]): void {
  for (const envelope of envelopes) client.send(JSON.stringify(envelope));
}

function onEveryWay(name: string, body: (start: (typeof everyWay)[number][1]) => Promise<void>): void {
  for (const [way, start] of everyWay) test(`${name} (${way})`, () => body(start));
}

onEveryWay("calls of all four kinds on one socket, each by its id", async (startGateway) => {
  await using gateway = await startGateway();
  const client = await connect(gateway, "", ["json"]);
  send(client, { id: 1, method: `${service}/Echo`, message: { text: "a" } });
  assert.equal(((await client.json())["message"] as { text: string }).text, "a");
  assert.deepEqual(await client.json(), { id: 1, ...ok });

  send(client, { id: "s", method: `${service}/Repeat`, message: { text: "b", count: 2 } });
  assert.deepEqual(await client.json(), { id: "s", message: { text: "b", payload: "", index: 0 } });
  assert.deepEqual(await client.json(), { id: "s", message: { text: "b", payload: "", index: 1 } });
  assert.deepEqual(await client.json(), { id: "s", ...ok });

  send(client, { id: 1, method: `${service}/Collect` }, { id: 1, message: { text: "c" } });
  send(client, { id: 1, message: { text: "d" }, end: true });
  assert.deepEqual(((await client.json())["message"] as { texts: string[] }).texts, ["c", "d"]);
  assert.deepEqual(await client.json(), { id: 1, ...ok });

  send(client, { id: 2, method: `${service}/Chat`, message: { text: "e" } });
  assert.equal(((await client.json())["message"] as { text: string }).text, "e");
  send(client, { id: 2, message: { text: "f" } }, { id: 2, end: true });
  assert.equal(((await client.json())["message"] as { text: string }).text, "f");
  assert.deepEqual(await client.json(), { id: 2, ...ok });
  client.ws.close(1000);
  assert.equal((await client.closed).code, 1000);
});

test("ids are told apart by their type, and echoed as they were written", async () => {
  await using gateway = await startGateway();
  const client = await connect(gateway);
  client.send(`{"id":1,"method":"${service}/Chat"}`, `{"id":"1","method":"${service}/Chat"}`);
  client.send('{"id":"\\u0031","message":{"text":"text"}}', '{"id":1,"message":{"text":"number"}}');
  const answers = [await client.json(), await client.json()];
  assert.deepEqual(
    answers.map(({ id, message }) => [id, (message as { text: string }).text]),
    [
      ["1", "text"],
      [1, "number"],
    ],
  );
  client.ws.close();
});

onEveryWay("numbers in messages are exact", async (startGateway) => {
  await using gateway = await startGateway();
  const client = await connect(gateway);
  client.send(`{"id":1,"method":"${service}/Echo","message":{"number":9007199254740993}}`);
  assert.equal(((await client.json())["message"] as { number: string }).number, "9007199254740993");
});

onEveryWay(
  "a cancelled call ends with code 1, its handler sees the abort, other calls go on",
  async (startGateway) => {
    await using gateway = await startGateway();
    const client = await connect(gateway);
    send(client, { id: 1, method: `${service}/Chat`, message: {} });
    await client.json();
    send(client, { id: 2, method: `${service}/Chat`, message: {} });
    await client.json();
    send(client, { id: 1, cancel: true });
    const end = await client.json();
    assert.deepEqual([end["id"], (end["status"] as { code: number }).code], [1, 1]);
    await within(
      gateway.echo.until(({ aborted }) => aborted === 1),
      "the abort",
    );
    send(client, { id: 2, message: { text: "on" } });
    assert.equal(((await client.json())["message"] as { text: string }).text, "on");
    client.ws.close();
  },
);

onEveryWay("headers of the handshake, of the query and of a frame reach the calls", async (startGateway) => {
  const rooms = new Rooms();
  await using gateway = await startGateway({ forwardHeaders: ["x-tenant"] }, [rooms]);
  const client = await connect(gateway, "?$header.authorization=q&$headers=frame");
  client.send('{"headers":{"x-request-id":"r"}}');
  send(client, { id: 1, method: "tsms.test.v1.RoomService/Join", headers: { "X-Tenant": "t" }, message: {} });
  const { headers } = (await client.json())["message"] as { headers: Record<string, string> };
  assert.equal(headers["authorization"], "q");
  assert.equal(headers["x-request-id"], "r");
  assert.equal(headers["x-tenant"], "t");
  client.ws.close();
});

onEveryWay(
  "a call whose headers cannot be headers ends with code 3, and none is dropped",
  async (startGateway) => {
    await using gateway = await startGateway();
    const client = await connect(gateway);
    send(client, { id: 1, method: `${service}/Echo`, headers: { authorization: "Bearer é" }, message: {} });
    const { code, message } = (await client.json())["status"] as { code: number; message: string };
    assert.equal(code, 3);
    assert.match(message, /the value of the header authorization/);
    assert.equal(gateway.echo.calls, 0);
    client.ws.close();
  },
);

onEveryWay(
  "timeoutMs ends a call with code 4, and is bounded by the server's maximum",
  async (startGateway) => {
    await using gateway = await startGateway({ maxTimeoutMs: 5000 });
    const client = await connect(gateway);
    const sleeping = { behaviour: { sleepMs: 60_000 } };
    send(client, { id: 1, method: `${service}/Echo`, timeoutMs: 100, message: sleeping });
    assert.equal(((await client.json())["status"] as { code: number }).code, 4);
    send(client, { id: 2, method: `${service}/Echo`, timeoutMs: 1e9, message: {} });
    const { timeoutMs } = (await client.json())["message"] as { timeoutMs: number };
    assert.ok(timeoutMs > 0 && timeoutMs <= 5000);
  },
);

for (const [what, envelope, code, message] of [
  ["an unknown rpc", { id: 7, method: "a.B/C" }, 12, 'no rpc is called "a.B/C"'],
  ["an id that no call has", { id: 7, message: {} }, 5, "no call has this id"],
  ["a message that is wrong", { id: 7, method: `${service}/Echo`, message: { text: 5 } }, 3, undefined],
  ["headers that are none", { id: 7, method: `${service}/Echo`, headers: { a: 1 } }, 3, undefined],
  ["a timeout that is none", { id: 7, method: `${service}/Echo`, timeoutMs: "1s" }, 3, undefined],
  ["a timeout of nothing", { id: 7, method: `${service}/Echo`, timeoutMs: 0 }, 3, undefined],
  [
    "a deadline header that is none",
    { id: 7, method: `${service}/Echo`, headers: { "grpc-timeout": "x" } },
    3,
    undefined,
  ],
] as const) {
  test(`${what} is a status of its id, and the socket goes on`, async () => {
    await using gateway = await startGateway();
    const client = await connect(gateway);
    send(client, envelope);
    const end = await client.json();
    assert.equal(end["id"], 7);
    const status = end["status"] as { code: number; message: string };
    assert.equal(status.code, code);
    if (message !== undefined) assert.equal(status.message, message);
    send(client, { id: 7, method: `${service}/Echo`, message: { text: "on" } });
    assert.equal(((await client.json())["message"] as { text: string }).text, "on");
    client.ws.close();
  });
}

onEveryWay("a message after the last one ends its call", async (startGateway) => {
  await using gateway = await startGateway();
  const client = await connect(gateway);
  const sleeping = { behaviour: { sleepMs: 60_000 } };
  send(client, { id: 1, method: `${service}/Chat`, message: sleeping, end: true }, { id: 1, message: {} });
  assert.equal(((await client.json())["status"] as { code: number }).code, 3);
  send(client, { id: 1, method: `${service}/Echo`, message: sleeping }, { id: 1, message: {} });
  assert.equal(((await client.json())["status"] as { code: number }).code, 3);
});

onEveryWay("what comes late for a call that has ended is dropped without a word", async (startGateway) => {
  await using gateway = await startGateway();
  const client = await connect(gateway);
  send(client, { id: 1, method: `${service}/Echo`, message: {} });
  await client.json();
  await client.json();
  send(client, { id: 1, message: {} }, { id: 1, end: true }, { id: 1, cancel: true }, { id: 99, end: true });
  send(client, { id: 2, method: `${service}/Echo`, message: {} });
  assert.equal((await client.json())["id"], 2);
});

for (const [what, text, code] of [
  ["text that is no JSON", "hello", 1007],
  ["JSON that is no object", "[1]", 1007],
  ["an empty frame", "", 1007],
  ["two objects", '{"id":1}{"id":2}', 1007],
  ["no id", '{"method":"a/B"}', 1007],
  ["an id that is none", '{"id":{}}', 1007],
  ["an id that is no integer", '{"id":1.5}', 1007],
  ["an id that is too long", `{"id":"${"x".repeat(129)}"}`, 1007],
  ["a member that nobody knows", '{"id":1,"methd":"x"}', 1007],
  ["a member twice", '{"id":1,"id":1}', 1007],
  ["a method that is no string", '{"id":1,"method":5}', 1007],
  ["an end that is no truth", '{"id":1,"end":"yes"}', 1007],
  ["an id that is in use", `{"id":0,"method":"${service}/Chat"}`, 1008],
] as const) {
  test(`${what} closes the socket with ${code} and cancels its calls`, async () => {
    await using gateway = await startGateway();
    const client = await connect(gateway);
    send(client, { id: 0, method: `${service}/Chat`, message: {} });
    await client.json();
    client.send(text);
    assert.equal((await within(client.closed, "the close")).code, code);
    await within(
      gateway.echo.until(({ aborted }) => aborted === 1),
      "the abort",
    );
  });
}

onEveryWay("calls beyond the limit are refused one by one", async (startGateway) => {
  await using gateway = await startGateway({ maxSocketCalls: 2 });
  const client = await connect(gateway);
  for (const id of [1, 2, 3]) send(client, { id, method: `${service}/Chat` });
  const end = await client.json();
  assert.deepEqual([end["id"], (end["status"] as { code: number }).code], [3, 8]);
  send(client, { id: 1, end: true });
  await client.json();
  send(client, { id: 3, method: `${service}/Echo`, message: { text: "now" } });
  assert.equal(((await client.json())["message"] as { text: string }).text, "now");
  client.ws.close();
});

test("a call that falls behind asks its client to pause; other calls go on, and nothing is lost", async () => {
  await using gateway = await startGateway();
  const client = await connect(gateway);
  const texts = Array.from({ length: 150 }, (_, index) => `${index} ${"x".repeat(1000)}`);
  send(client, { id: 1, method: `${service}/Collect`, message: { behaviour: { sleepMs: 300 } } });
  for (const text of texts) send(client, { id: 1, message: { text } });
  assert.deepEqual(await client.json(), { id: 1, pause: true });
  send(client, { id: 2, method: `${service}/Echo`, message: { text: "by the way" } });
  assert.equal(((await client.json())["message"] as { text: string }).text, "by the way");
  await client.json();
  assert.deepEqual(await client.json(), { id: 1, pause: false });
  send(client, { id: 1, end: true });
  const { texts: collected } = (await client.json())["message"] as { texts: string[] };
  assert.deepEqual(collected.slice(1), texts);
});

onEveryWay("a client that does not pause loses the call, not the socket", async (startGateway) => {
  await using gateway = await startGateway({ maxSocketMessageBytes: 200_000 });
  const client = await connect(gateway);
  const text = "x".repeat(10_000);
  send(client, { id: 1, method: `${service}/Collect`, message: { behaviour: { sleepMs: 60_000 } } });
  for (let i = 0; i < 60; i++) send(client, { id: 1, message: { text } });
  assert.deepEqual(await client.json(), { id: 1, pause: true });
  const rest = [await client.json(), await client.json()];
  const end = rest.find(({ status }) => status !== undefined);
  assert.equal((end?.["status"] as { code: number } | undefined)?.code, 8);
  send(client, { id: 2, method: `${service}/Echo`, message: { text: "on" } });
  while ((await client.json())["id"] !== 2);
  client.ws.close();
});

onEveryWay("streams share a socket fairly, also while its client reads slowly", async (startGateway) => {
  await using gateway = await startGateway();
  const client = await connect(gateway);
  const payload = Buffer.alloc(16 * 1024).toString("base64");
  const count = 200;
  const ids = [0, 1, 2, 3];
  for (const id of ids) send(client, { id, method: `${service}/Repeat`, message: { count, payload } });
  const seen = ids.map(() => 0);
  let behind = 0;
  for (let left = ids.length; left > 0;) {
    const { id, message } = (await client.json()) as { id: number; message?: { index: number } };
    if (message === undefined) left--;
    else {
      assert.equal(message.index, seen[id]);
      seen[id] = message.index + 1;
    }
    if (Math.max(...seen) < count) behind = Math.max(behind, Math.max(...seen) - Math.min(...seen));
  }
  assert.deepEqual(
    seen,
    ids.map(() => count),
  );
  assert.ok(behind < 20, `one stream was ${behind} messages ahead of another`);
});

onEveryWay("a client that leaves cancels all calls", async (startGateway) => {
  await using gateway = await startGateway();
  const client = await connect(gateway);
  for (const id of [1, 2, 3]) {
    send(client, { id, method: `${service}/Chat`, message: {} });
    await client.json();
  }
  client.ws.terminate();
  await within(
    gateway.echo.until(({ aborted }) => aborted === 3),
    "the aborts",
    1000,
  );
});

onEveryWay("the endpoint has the path of its option, or none", async (startGateway) => {
  await using elsewhere = await startGateway({ multiplexPath: "/api/socket" });
  const client = await new SocketClient(`ws://127.0.0.1:${elsewhere.port}/api/socket?x=1`).open();
  send(client, { id: 1, method: `${service}/Echo`, message: {} });
  assert.equal((await client.json())["id"], 1);
  client.ws.close();
  assert.equal((await new SocketClient(`ws://127.0.0.1:${elsewhere.port}/ws`).refused()).status, 404);
  await using off = await startGateway({ multiplexPath: undefined });
  assert.equal((await new SocketClient(`ws://127.0.0.1:${off.port}/ws`).refused()).status, 404);
  assert.equal(
    (await new SocketClient(`ws://127.0.0.1:${elsewhere.port}/api/socket`, "proto").refused()).status,
    400,
  );
  await assert.rejects(startGateway({ multiplexPath: "ws" }), /multiplexPath: "ws" is no path/);
});

onEveryWay(
  "services that come later can be called on sockets that are open already",
  async (startGateway) => {
    const rooms = new Rooms();
    await using gateway = await startGateway({}, [rooms]);
    const client = await connect(gateway);
    gateway.http.replaceServices([gateway.echo.descriptor]);
    send(client, { id: 1, method: "tsms.test.v1.RoomService/Join", message: {} });
    assert.equal(((await client.json())["status"] as { code: number }).code, 12);
    gateway.http.replaceServices([rooms.descriptor]);
    send(client, { id: 1, method: "tsms.test.v1.RoomService/Join", message: { text: "now" } });
    assert.equal(((await client.json())["message"] as { text: string }).text, "now");
    client.ws.close();
  },
);
