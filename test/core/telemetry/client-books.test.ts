import assert from "node:assert/strict";
import { test } from "node:test";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import type { CountedCluster } from "../../../src/core/cluster/client-books.ts";
import { ClientCounts } from "../../../src/core/telemetry/client-books.ts";

/** A cluster of which nothing but its name is of interest. */
function cluster(name: string): CountedCluster {
  const none = new Map<never, never>();
  return { name, inFlight: 0, connections: 0, endpoints: none, breakerStates: none, discovery: undefined };
}

/** Counts with a clock that tests wind. */
function countsWithClock(): { counts: ClientCounts; pass: (ms: number) => void } {
  let nowMs = 0;
  const due = new Map<() => void, number>();
  const counts = new ClientCounts((ms, fn) => {
    due.set(fn, nowMs + ms);
    return () => due.delete(fn);
  });
  const pass = (ms: number): void => {
    nowMs += ms;
    for (const [fn, atMs] of [...due]) {
      if (atMs > nowMs) continue;
      due.delete(fn);
      fn();
    }
  };
  return { counts, pass };
}

function countAll(counts: ClientCounts, name: string): void {
  counts.rpc(name, EchoService.method.echo).finished(0, 1);
  counts.rejected(name, "breaker");
  counts.denied(name, "budget");
  counts.waited(name, 1);
  counts.ejected(name, "consecutive_failures");
  counts.looked(name, "changed");
  counts.closed(name, "lost");
  counts.refused(name, "clash");
}

function namesIn({ series, rejections, denials, waits, ejections, looks, closings, refusals }: ClientCounts) {
  const all = [rejections, denials, waits, ejections, looks, closings, refusals];
  return [series.map(({ labels }) => labels.upstream), ...all.map((counts) => [...counts.keys()])];
}

test("the counts of an upstream that is gone are dropped after ten minutes", () => {
  const { counts, pass } = countsWithClock();
  const close = counts.open(cluster("a"));
  counts.open(cluster("b"));
  for (const name of ["a", "b"]) countAll(counts, name);
  close();
  close();
  pass(599_999);
  for (const names of namesIn(counts)) assert.deepEqual(names, ["a", "b"]);
  pass(1);
  for (const names of namesIn(counts)) assert.deepEqual(names, ["b"]);
});

test("an upstream that comes back in time goes on with its counts", () => {
  const { counts, pass } = countsWithClock();
  const close = counts.open(cluster("a"));
  countAll(counts, "a");
  close();
  pass(500_000);
  const closeNext = counts.open(cluster("a"));
  pass(1_000_000);
  for (const names of namesIn(counts)) assert.deepEqual(names, ["a"]);
  closeNext();
  pass(600_000);
  for (const names of namesIn(counts)) assert.deepEqual(names, []);
});

test("an upstream is gone when the last cluster of its name is", () => {
  const { counts, pass } = countsWithClock();
  const close = counts.open(cluster("a"));
  counts.open(cluster("a"));
  countAll(counts, "a");
  close();
  pass(1_000_000);
  for (const names of namesIn(counts)) assert.deepEqual(names, ["a"]);
});
