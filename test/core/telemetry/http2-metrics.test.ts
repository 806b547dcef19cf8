import assert from "node:assert/strict";
import { test } from "node:test";
import { countsOf, http2Counts } from "../../../src/core/http2/http2-counts.ts";
import { Metrics } from "../../../src/core/telemetry/metrics.ts";

test("HTTP/2 connections are counted by side, and what waits for them by upstream", async () => {
  const metrics = new Metrics({ processMetrics: false });
  const { server } = http2Counts;
  const [busy, other] = [{ streams: 3 }, { streams: 1 }];
  for (const connection of [busy, other]) server.begin(connection);
  server.end(other, "flood");
  server.end(other, "lost"); // Only the first cause counts.
  server.refusedStreams++;
  server.pings.answered += 2;
  const upstream = countsOf("metrics-test:1");
  upstream.queued = 4;
  upstream.goaways.set("ENHANCE_YOUR_CALM", 5);
  const page = await metrics.page();
  for (const line of [
    'ts_ms_http2_connections{side="server"} 1',
    'ts_ms_http2_streams{side="server"} 3',
    'ts_ms_http2_connections_ended_total{side="server",cause="flood"} 1',
    'ts_ms_http2_refused_streams_total{side="server"} 1',
    'ts_ms_http2_pings_total{side="server",outcome="answered"} 2',
    'ts_ms_http2_pings_total{side="server",outcome="unanswered"} 0',
    'ts_ms_client_queued_calls{upstream="metrics-test:1"} 4',
    'ts_ms_client_goaways_total{upstream="metrics-test:1",code="ENHANCE_YOUR_CALM"} 5',
  ]) {
    assert.ok(page.includes(`${line}\n`), line);
  }
  assert.ok(!page.includes('cause="lost"'));
  server.end(busy, "closed");
});
