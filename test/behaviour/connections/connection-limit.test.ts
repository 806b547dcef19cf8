import { strict as assert } from "node:assert";
import { once } from "node:events";
import { connect as connectHttp2, type ClientHttp2Session } from "node:http2";
import { connect, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { ConnectionLimit } from "../../../src/core/net/connection-limit.ts";
import { startGateway, statusOf } from "../../support/gateway-fixture.ts";
import { running } from "../../support/running-grpc.ts";

/** A connection that a test keeps open. */
class Client {
  readonly socket: Socket;
  closed = false;
  #answer = "";

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => (this.#answer += chunk.toString("latin1")));
    socket.on("close", () => (this.closed = true));
    socket.on("error", () => {});
  }

  static async to(t: TestContext, port: number): Promise<Client> {
    const socket = connect(port, "127.0.0.1");
    t.after(() => socket.destroy());
    const client = new Client(socket);
    await once(socket, "connect");
    return client;
  }

  begin(sleepMs = 0): void {
    const body = JSON.stringify({ text: "a", behaviour: { sleepMs } });
    this.socket.write(
      `POST /tsms.test.v1.EchoService/Echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
  }

  /** The status of the next answer; 0 if the connection closes without one. */
  async status(): Promise<number> {
    while (!this.#answer.includes('"text":"a"') && !this.closed) await tick();
    const status = statusOf(this.#answer);
    this.#answer = "";
    return status;
  }

  async ask(): Promise<number> {
    this.begin();
    return this.status();
  }

  async ended(): Promise<void> {
    while (!this.closed) await tick();
  }
}

function tick(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 2));
}

for (const engine of ["own", "node"] as const) {
  const fastLane = engine === "own";
  test(`Q6 at the limit the connection that was idle for the longest time goes first (${engine})`, async (t) => {
    const connectionLimit = new ConnectionLimit({ maxConnections: 3 });
    await using gateway = await startGateway({ connectionLimit, fastLane });
    const clients = [];
    for (let at = 0; at < 3; at++) {
      const client = await Client.to(t, gateway.port);
      assert.equal(await client.ask(), 200);
      clients.push(client);
    }
    const [first, second, third] = clients;
    const fourth = await Client.to(t, gateway.port);
    assert.equal(await fourth.ask(), 200);
    await first?.ended();
    assert.deepEqual([second?.closed, third?.closed], [false, false]);
    assert.equal(connectionLimit.refused, 0);
  });

  test(`Q6 where no connection is idle new ones are closed, and nothing else ends (${engine})`, async (t) => {
    const connectionLimit = new ConnectionLimit({ maxConnections: 2 });
    await using gateway = await startGateway({ connectionLimit, fastLane });
    const busy = [await Client.to(t, gateway.port), await Client.to(t, gateway.port)];
    for (const client of busy) client.begin(400);
    while (gateway.echo.calls < 2) await tick();
    const refused = await Client.to(t, gateway.port);
    assert.equal(await refused.ask(), 0);
    assert.deepEqual([connectionLimit.refused, gateway.http.connectionCounts.refused], [1, 1]);
    for (const client of busy) assert.equal(await client.status(), 200);
  });
}

test("Q6 one address has as many connections as it may", async (t) => {
  const connectionLimit = new ConnectionLimit({ maxConnectionsPerIp: 2 });
  await using gateway = await startGateway({ connectionLimit });
  const clients = [await Client.to(t, gateway.port), await Client.to(t, gateway.port)];
  const refused = await Client.to(t, gateway.port);
  assert.equal(await refused.ask(), 0);
  clients[0]?.socket.destroy();
  while (connectionLimit.open > 1) await tick();
  const next = await Client.to(t, gateway.port);
  assert.equal(await next.ask(), 200);
  connectionLimit.replace({ maxConnectionsPerIp: 0 });
  const free = await Client.to(t, gateway.port);
  assert.equal(await free.ask(), 200);
});

test("Q6 in a second so many connections are accepted as may, a tenth of them at once", async (t) => {
  const all = new ConnectionLimit({ maxPerSecond: 20 });
  const connectionLimit = new ConnectionLimit({}, all);
  await using gateway = await startGateway({ connectionLimit });
  const clients = await Promise.all(Array.from({ length: 10 }, () => Client.to(t, gateway.port)));
  const statuses = await Promise.all(clients.map((client) => client.ask()));
  const served = statuses.filter((status) => status === 200).length;
  assert.ok(served >= 2 && served <= 6, `${served} of 10`);
  assert.equal(connectionLimit.refused, 10 - served);
  assert.equal(connectionLimit.refusedBy, "per_second");
  all.replace({ maxPerSecond: 0 });
  const free = await Client.to(t, gateway.port);
  assert.equal(await free.ask(), 200);
});

test("Q6 two servers share a limit, and connections of HTTP/2 without a call are idle", async (t) => {
  const connectionLimit = new ConnectionLimit({ maxConnections: 2 });
  const { port } = await running(t, { connectionLimit });
  const ofGateway = new ConnectionLimit({ maxConnectionsPerIp: 10 }, connectionLimit);
  await using gateway = await startGateway({ connectionLimit: ofGateway });
  const sessions: ClientHttp2Session[] = [];
  for (let at = 0; at < 2; at++) {
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    session.on("error", () => {});
    t.after(() => session.destroy());
    await once(session, "remoteSettings");
    sessions.push(session);
  }
  const closed = once(sessions[0] ?? assert.fail(), "close");
  const client = await Client.to(t, gateway.port);
  assert.equal(await client.ask(), 200);
  await closed;
  assert.equal(sessions[1]?.closed, false);
});

test("Q6 without a file for a connection none is accepted for a moment", () => {
  let nowMs = 0;
  const limit = new ConnectionLimit({}, undefined, () => nowMs);
  const socket = (): Socket =>
    Object.assign(Object.create(null) as Socket, {
      once: () => {},
      destroy: () => {},
      remoteAddress: "192.0.2.1",
    });
  assert.equal(limit.admits(socket()), true);
  limit.outOfFiles();
  assert.equal(limit.admits(socket()), false);
  nowMs += 100;
  assert.equal(limit.admits(socket()), true);
  assert.deepEqual([limit.open, limit.refused], [2, 1]);
  assert.throws(() => new ConnectionLimit({ maxConnections: -1 }), /maxConnections must be a whole number/);
});
