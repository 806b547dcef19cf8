import { strict as assert } from "node:assert";
import { once } from "node:events";
import { test } from "node:test";
import { Code } from "@connectrpc/connect";
import { flag, frameType, hpack, http2Frame, RawHttp2 } from "../../support/http2-frames.ts";
import { collect, echoFrame, open, post, running, session, within } from "../../support/running-grpc.ts";

test("old connections are asked to go", async (t) => {
  const http2 = session(t, await running(t, { maxConnectionAgeMs: 100, maxConnectionAgeGraceMs: 100 }));
  const [code] = (await within(10_000, "the GOAWAY", once(http2, "goaway"))) as [number];
  assert.equal(code, 0);
});

test("idle connections are closed when asked for", async (t) => {
  const http2 = session(t, await running(t, { maxConnectionIdleMs: 100 }));
  await within(10_000, "the close", once(http2, "close"));
});

test("clients that answer no pings are dropped and their calls aborted", async (t) => {
  const server = await running(t, { keepaliveTimeMs: 50, keepaliveTimeoutMs: 100 });
  const mute = await RawHttp2.open(server.host, server.port); // It answers nothing by itself.
  t.after(() => mute.destroy());
  const fields = hpack([
    [":method", "POST"],
    [":scheme", "http"],
    [":path", "/tsms.test.v1.EchoService/Collect"],
    [":authority", "test"],
    ["content-type", "application/grpc"],
  ]);
  mute.send(http2Frame(frameType.headers, flag.endHeaders, 1, fields));
  mute.send(http2Frame(frameType.data, 0, 1, echoFrame({ text: "x" })));
  await within(
    10_000,
    "the call",
    server.echo.until(({ received }) => received === 1),
  );
  await mute.until("a ping", (seen) => seen.of(frameType.ping).length > 0);
  await within(
    10_000,
    "the abort",
    server.echo.until(({ aborted }) => aborted === 1),
  );
  await mute.until("the close", ({ closed }) => closed);
});

test("E22: a clock that is set back an hour changes no time", async (t) => {
  const before = Date.now;
  t.mock.method(Date, "now", () => before() - 3_600_000);
  const began = performance.now();
  const server = await running(t, {
    maxConnectionIdleMs: 200,
    keepaliveTimeMs: 50,
    keepaliveTimeoutMs: 5000,
  });
  const http2 = session(t, server);
  const late = await within(
    10_000,
    "the deadline",
    post(http2, { "grpc-timeout": "100m" }, [echoFrame({ behaviour: { sleepMs: 60_000 } })]),
  );
  assert.equal(late.status, Code.DeadlineExceeded);
  await within(10_000, "the close of an idle connection", once(http2, "close"));
  const reply = collect(open(session(t, server)));
  while (server.server.connections === 0) await new Promise(setImmediate);
  const report = await within(10_000, "the stop", server.server.gracefulStop({ graceMs: 200 }));
  await reply;
  assert.ok(report.cut.length <= 1);
  const took = performance.now() - began;
  assert.ok(took >= 300 && took < 5000, `${took} ms`);
});
