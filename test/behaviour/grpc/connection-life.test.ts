import { strict as assert } from "node:assert";
import { once } from "node:events";
import { test } from "node:test";
import { flag, frameType, hpack, http2Frame, RawHttp2 } from "../../support/http2-frames.ts";
import { echoFrame, running, session, within } from "../../support/running-grpc.ts";

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
