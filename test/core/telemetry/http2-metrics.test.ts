import assert from "node:assert/strict";
import { test } from "node:test";
import { countsOf, http2Counts } from "../../../src/core/http2/http2-counts.ts";
import { Metrics } from "../../../src/core/telemetry/metrics.ts";

test("HTTP/2 connections are counted by side, and what waits for them by upstream", async () => {
  const metrics = new Metrics({ processMetrics: false });
  const before = await metrics.page(); // Other tests of this process have counted, too.
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
  for (const [series, more] of [
    ['ts_ms_http2_connections{side="server"}', 1],
    ['ts_ms_http2_streams{side="server"}', 3],
    ['ts_ms_http2_connections_ended_total{side="server",cause="flood"}', 1],
    ['ts_ms_http2_connections_ended_total{side="server",cause="lost"}', 0],
    ['ts_ms_http2_refused_streams_total{side="server"}', 1],
    ['ts_ms_http2_pings_total{side="server",outcome="answered"}', 2],
    ['ts_ms_http2_pings_total{side="server",outcome="unanswered"}', 0],
    ['ts_ms_client_queued_calls{upstream="metrics-test:1"}', 4],
    ['ts_ms_client_goaways_total{upstream="metrics-test:1",code="ENHANCE_YOUR_CALM"}', 5],
  ] as const) {
    assert.equal(valueOf(page, series) - valueOf(before, series), more, series);
  }
  server.end(busy, "closed");
});

/** The value of a series; 0 where the page has none. */
function valueOf(page: string, series: string): number {
  const line = page.split("\n").find((one) => one.startsWith(`${series} `));
  return Number(line?.slice(series.length) ?? 0);
}
