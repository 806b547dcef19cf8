import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { describe, test } from "node:test";
import { createClient, type Transport } from "@connectrpc/connect";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { curl } from "../../support/program.ts";
import { within } from "../websocket/socket-client.ts";
import { ports, startServers, type Servers } from "./stop-ports.ts";

const sleepMs = 700;

/** Makes one call that takes its time, and resolves with the text that it echoes. */
type SlowCall = (servers: Servers, text: string) => Promise<string>;

function rest(version: "--http1.1" | "--http2"): SlowCall {
  return async ({ origin, httpPort, caFile, ca }, text) => {
    const plain = version === "--http2" && ca === undefined ? "--http2-prior-knowledge" : version;
    const url = `${origin}:${httpPort}/test/v1/echo/${text}?behaviour.sleepMs=${sleepMs}`;
    const { status, body } = await curl(plain, "--cacert", caFile, url);
    assert.equal(status, 200);
    return (JSON.parse(body) as { text: string }).text;
  };
}

function through(...way: Parameters<Servers["transport"]>): SlowCall {
  return async (servers, text) => {
    const client = createClient(EchoService, servers.transport(...way));
    return (await client.echo({ text, behaviour: { sleepMs } })).text;
  };
}

const slowCalls: Readonly<Record<string, SlowCall>> = {
  "REST by HTTP/1.1": rest("--http1.1"),
  "REST by HTTP/2": rest("--http2"),
  "Connect by HTTP/1.1": through("connect", "1.1"),
  "Connect by HTTP/2": through("connect", "2"),
  "gRPC-Web by HTTP/1.1": through("grpc-web", "1.1"),
  "gRPC-Web by HTTP/2": through("grpc-web", "2"),
  gRPC: through("grpc", "2"),
};

for (const port of ports) {
  describe(port.name, () => {
    for (const [name, call] of Object.entries(slowCalls)) {
      test(`Z02: a call by ${name} that is under way completes`, async (t) => {
        const servers = await startServers(t, port);
        const answer = call(servers, "slow");
        await within(
          servers.echo.until(({ calls }) => calls === 1),
          "the call",
        );
        const began = performance.now();
        const [text, report] = await Promise.all([answer, servers.stop()]);
        assert.equal(text, "slow");
        assert.deepEqual(report, { finished: 1, notified: [], cut: [] });
        assert.ok(performance.now() - began < 10_000, "the stop took too long");
      });
    }

    test("Z01: connections that have said nothing, or nothing more, do not hold the stop", async (t) => {
      const servers = await startServers(t, port);
      const { httpPort, grpcPort, ca } = servers;
      const both = [httpPort, grpcPort];
      await Promise.all(both.map((number) => once(servers.session(number), "remoteSettings")));
      const silent = both.map((number) => connect(number, "127.0.0.1"));
      const opened = silent.map((socket) => once(socket, "connect"));
      if (ca !== undefined) {
        const secured = connectTls({ port: httpPort, host: "127.0.0.1", ca, ALPNProtocols: ["http/1.1"] });
        silent.push(secured);
        opened.push(once(secured, "secureConnect"));
      }
      for (const socket of silent) {
        t.after(() => socket.destroy());
        socket.on("error", () => {});
      }
      await Promise.all(opened);
      assert.deepEqual(await within(servers.stop(), "the stop", 5000), {
        finished: 0,
        notified: [],
        cut: [],
      });
    });

    test("Z04: clients get GOAWAY without an error, and a call that is under way its reply", async (t) => {
      const servers = await startServers(t, port);
      const session = servers.session(servers.httpPort);
      const goaway = once(session, "goaway");
      const stream = session.request({ ":path": `/test/v1/echo/x?behaviour.sleepMs=${sleepMs}` });
      const [headers] = await Promise.all([
        once(stream, "response") as Promise<[Record<string, unknown>]>,
        servers.echo.until(({ calls }) => calls === 1).then(() => servers.stop()),
      ]);
      assert.equal(headers[0][":status"], 200);
      assert.deepEqual((await within(goaway, "the GOAWAY"))[0], 0);
    });

    test("Z05: streams by every protocol that end within the grace are whole", async (t) => {
      const servers = await startServers(t, port);
      const read = async (protocol: "connect" | "grpc-web" | "grpc"): Promise<number> => {
        let count = 0;
        const client = createClient(EchoService, servers.transport(protocol, "2"));
        for await (const _ of client.repeat({ count: 3, intervalMs: 300 })) count++;
        return count;
      };
      const counts = Promise.all([read("connect"), read("grpc-web"), read("grpc")]);
      await within(
        servers.echo.until((echo) => echo.calls === 3),
        "the streams",
      );
      const { finished, notified, cut } = await servers.stop();
      // Where gRPC has a port of its own, its stream has ended by the time that this server's stop begins.
      assert.ok(finished === 3 || finished === 2, `${finished} finished`);
      assert.deepEqual([notified, cut], [[], []]);
      assert.deepEqual(await counts, [3, 3, 3]);
    });

    test("Z05: streams by every protocol end with UNAVAILABLE shortly before the end of the grace", async (t) => {
      const servers = await startServers(t, port);
      const transports = (["connect", "grpc-web", "grpc"] as const).map((protocol) =>
        servers.transport(protocol, "2"),
      );
      const read = async (transport: Transport): Promise<unknown> => {
        try {
          const replies = createClient(EchoService, transport).repeat({ count: 2, intervalMs: 100_000 });
          for await (const _ of replies);
          return undefined;
        } catch (error) {
          return error;
        }
      };
      const errors = Promise.all(transports.map(read));
      await within(
        servers.echo.until((echo) => echo.calls === 3),
        "the streams",
      );
      const name = "tsms.test.v1.EchoService/Repeat";
      assert.deepEqual(await servers.stop(1000), { finished: 0, notified: [name, name, name], cut: [] });
      for (const error of await errors)
        assert.match(String(error), /\[unavailable\] the server is shutting down/);
    });

    test("a call that outlives the grace is cut and named", async (t) => {
      const servers = await startServers(t, port);
      const name = "tsms.test.v1.EchoService/Echo";
      const clients = [servers.transport("connect", "1.1"), servers.transport("grpc", "2")];
      const calls = clients.map((transport) =>
        createClient(EchoService, transport).echo({ behaviour: { sleepMs: 60_000 } }),
      );
      const failures = Promise.allSettled(calls);
      await within(
        servers.echo.until((echo) => echo.calls === 2),
        "the calls",
      );
      assert.deepEqual(await servers.stop(200), { finished: 0, notified: [], cut: [name, name] });
      for (const { status, reason } of (await failures) as PromiseRejectedResult[]) {
        assert.equal(status, "rejected");
        assert.match(String(reason), /\[unavailable\] the server is shutting down/);
      }
    });
  });
}
