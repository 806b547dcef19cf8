/** Clients that send pings (gRFC A8), at both engines. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { suite, test, type TestContext } from "node:test";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { App } from "../../../src/app/app.ts";
import { GrpcServer, type GrpcServerOptions } from "../../../src/core/grpc-server.ts";
import { Echo } from "../../support/echo-service.ts";

async function sessionOf(t: TestContext, port: number): Promise<ClientHttp2Session> {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  t.after(() => session.destroy());
  await once(session, "remoteSettings");
  return session;
}

/** Sends pings one after the other. @returns the code of the GOAWAY that ended the connection; undefined for none */
async function pinged(session: ClientHttp2Session, count: number): Promise<number | undefined> {
  let code: number | undefined;
  session.once("goaway", (received: number) => void (code = received));
  for (let sent = 0; sent < count && !session.destroyed && code === undefined; sent++) {
    await new Promise<void>((resolve) => {
      session.once("close", resolve);
      session.ping(() => resolve());
    });
  }
  if (code === undefined && session.destroyed) await new Promise(setImmediate);
  return code;
}

for (const engine of ["own", "grpc-js"] as const) {
  suite(`pings of clients, engine ${engine}`, () => {
    const start = async (t: TestContext, options: Partial<GrpcServerOptions>): Promise<number> => {
      const server = new GrpcServer({ port: 0, engine, logger: false, ...options }).addService(new Echo());
      await server.start();
      t.after(() => server.gracefulStop({ graceMs: 0 }));
      return server.address?.port ?? 0;
    };

    test("without calls they may come at the interval by default", async (t) => {
      const session = await sessionOf(t, await start(t, { minPingIntervalMs: 0 }));
      assert.equal(await pinged(session, 10), undefined);
    });

    test("pingsWithoutCalls: false ends an idle connection at the third early ping, and spares one with calls", async (t) => {
      const port = await start(t, { minPingIntervalMs: 0, pingsWithoutCalls: false });
      const idle = await sessionOf(t, port);
      assert.equal(await pinged(idle, 10), constants.NGHTTP2_ENHANCE_YOUR_CALM);
      const busy = await sessionOf(t, port);
      const stream = busy.request({
        ":method": "POST",
        ":path": `/${EchoService.typeName}/Chat`,
        "content-type": "application/grpc",
        te: "trailers",
      });
      stream.on("error", () => {});
      await new Promise((resolve) => busy.ping(resolve)); // Behind it the server has the call.
      assert.equal(await pinged(busy, 10), undefined);
      stream.close();
    });

    test("pings earlier than minPingIntervalMs end a connection", async (t) => {
      const session = await sessionOf(t, await start(t, { minPingIntervalMs: 60_000 }));
      assert.equal(await pinged(session, 10), constants.NGHTTP2_ENHANCE_YOUR_CALM);
    });
  });
}

test("grpc.keepalive says what clients may do", async (t) => {
  const base = { http: { enabled: false }, telemetry: { metrics: { port: "off" } } };
  for (const [keepalive, code] of [
    [{ minInterval: 0, permitWithoutStream: true }, undefined],
    [{ minInterval: 0, permitWithoutStream: false }, constants.NGHTTP2_ENHANCE_YOUR_CALM],
    [{ minInterval: 60_000 }, constants.NGHTTP2_ENHANCE_YOUR_CALM],
  ] as const) {
    const app = await App.load({ argv: [], env: {}, overrides: { ...base, grpc: { port: 0, keepalive } } });
    app.addService(new Echo());
    await app.start();
    t.after(() => app.stop());
    const [address = ""] = app.servers.find(({ name }) => name === "grpc")?.addresses ?? [];
    const session = await sessionOf(t, Number(address.split(":").at(-1)));
    assert.equal(await pinged(session, 10), code, JSON.stringify(keepalive));
  }
});
