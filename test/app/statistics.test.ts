import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";
import { quantile, ServerCounts, statisticsOf } from "../../src/app/statistics.ts";
import { CallContext } from "../../src/core/call/context.ts";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import { durationBuckets } from "../../src/core/telemetry/metric-list.ts";

/** A histogram with counts at some of its upper bounds, in seconds; Infinity for what is above the last. */
function histogram(counts: Readonly<Record<string, number>>): readonly number[] {
  return [...durationBuckets, Infinity].map((bound) => counts[String(bound)] ?? 0);
}

suite("quantiles of a histogram, in seconds", () => {
  for (const [what, counts, share, expected] of [
    ["none", {}, 0.5, 0],
    ["one bucket: evenly spread", { "0.01": 10 }, 0.5, 0.0075],
    ["the whole of the first bucket", { "0.001": 4 }, 1, 0.001],
    ["at the end of a bucket", { "0.001": 5, "0.01": 5 }, 0.5, 0.001],
    ["in the second one of two", { "0.001": 5, "0.01": 5 }, 0.9, 0.009],
    ["above all bounds: the last one", { Infinity: 3 }, 0.5, 30],
  ] as const) {
    test(what, () => assert.ok(Math.abs(quantile(histogram(counts), share) - expected) < 1e-9));
  }
});

test("messages of calls that have ended are counted, and those of calls that failed by the server's fault", () => {
  const counts = new ServerCounts();
  const call = (name: "echo" | "repeat", code?: Code): void => {
    const method = EchoService.method[name];
    const context = new CallContext({ method, protocolName: "grpc", requestHeader: undefined });
    context.sent = 5;
    counts.started();
    counts.finished(context, code === undefined ? undefined : new ConnectError("", code));
    context.end();
  };
  call("echo"); // 1 and 1
  call("repeat"); // 1 and 5
  call("echo", Code.NotFound); // 1 and none
  call("repeat", Code.Internal); // 1 and 5
  const { totalMessages, failedMessages, failedRequests } = statisticsOf(
    counts.book({ total: 0, active: 0, refused: 0 }),
  );
  assert.deepEqual([totalMessages, failedMessages, failedRequests], [15, 6, 1]);
});
