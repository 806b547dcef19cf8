import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { test } from "node:test";
import type { ManagedServer, ServerState, StopReport } from "../../../src/core/lifecycle/lifecycle.ts";
import {
  addServerGracefulStop,
  catchStopSignals,
  type ProcessLike,
  type StopSignalOptions,
} from "../../../src/core/lifecycle/signals.ts";

/** A stand-in for `process` that remembers how it was ended. */
class Stage extends EventEmitter implements ProcessLike {
  readonly exits: number[] = [];
  readonly written: string[] = [];
  exitCode: number | undefined;
  readonly stderr = { write: (text: string) => this.written.push(text) };

  exit(code: number): void {
    this.exits.push(code);
    this.emit("ended");
  }
}

/** A server that does as it is told and writes down what was asked of it. */
function server(
  name: string,
  log: string[],
  stop: (graceMs: number) => Promise<StopReport> = async () => ({ finished: 0, notified: [], cut: [] }),
): ManagedServer & { state: ServerState } {
  return {
    name,
    state: "ready",
    drain() {
      log.push(`${name} drains`);
    },
    async gracefulStop({ graceMs = -1 } = {}) {
      this.state = "graceful";
      log.push(`${name} stops`);
      const report = await stop(graceMs);
      this.state = "stop";
      log.push(`${name} stopped`);
      return report;
    },
  };
}

function start(servers: ManagedServer[], options: Partial<StopSignalOptions> = {}) {
  const stage = new Stage();
  const done = catchStopSignals({ process: stage, servers, lingerMs: 10, ...options });
  return { stage, done };
}

test("all servers drain before the first stops, then stop in order", async () => {
  const log: string[] = [];
  const http = server("HTTP", log, async () => ({ finished: 2, notified: [], cut: [] }));
  const grpc = server("GRPC", log, async () => ({ finished: 1, notified: [], cut: [] }));
  const { stage, done } = start([http, grpc]);
  stage.emit("SIGTERM");
  const report = await done;
  assert.deepEqual(log, [
    "HTTP drains",
    "GRPC drains",
    "HTTP stops",
    "HTTP stopped",
    "GRPC stops",
    "GRPC stopped",
  ]);
  assert.deepEqual(report, {
    signal: "SIGTERM",
    finished: 3,
    notified: [],
    cut: [],
    servers: [
      { name: "HTTP", finished: 2, notified: [], cut: [] },
      { name: "GRPC", finished: 1, notified: [], cut: [] },
    ],
    exitCode: 0,
  });
  assert.equal(stage.exitCode, 0);
});

test("something cut makes the exit code 1", async () => {
  const { stage, done } = start([
    server("GRPC", [], async () => ({ finished: 0, notified: [], cut: ["a.B/C"] })),
  ]);
  stage.emit("SIGINT");
  const report = await done;
  assert.deepEqual([report.cut, report.exitCode, stage.exitCode], [["a.B/C"], 1, 1]);
});

test("all servers share one grace", async () => {
  const graces: number[] = [];
  const slow = (ms: number) => async (graceMs: number) => {
    graces.push(graceMs);
    await delay(ms);
    return { finished: 0, notified: [], cut: [] };
  };
  const { stage, done } = start([server("A", [], slow(300)), server("B", [], slow(0))], { graceMs: 400 });
  stage.emit("SIGTERM");
  await done;
  const [first = 0, second = 0] = graces;
  assert.ok(first > 350 && first <= 400, `first grace ${first}`);
  assert.ok(second <= first - 250, `second grace ${second} after ${first}`);
});

test("a server whose stop hangs or fails does not hold the others", async () => {
  const log: string[] = [];
  const hung = server("A", log, () => new Promise(() => {}));
  const broken = server("B", log, () => Promise.reject(new Error("no")));
  const { stage, done } = start([hung, broken, server("C", log)], { graceMs: 50 });
  stage.emit("SIGTERM");
  const report = await done;
  assert.deepEqual(report.cut, ["A: the stop hung", "B: the stop failed: no"]);
  assert.equal(log.at(-1), "C stopped");
});

test("a drain that throws stops nobody else", async () => {
  const log: string[] = [];
  const broken = {
    ...server("A", log),
    drain() {
      throw new Error("no");
    },
  };
  const { stage, done } = start([broken, server("B", log)]);
  stage.emit("SIGTERM");
  await done;
  assert.deepEqual(log.slice(0, 1), ["B drains"]);
});

test("nothing stops before the drain delay is over", async () => {
  const log: string[] = [];
  const { stage, done } = start([server("A", log)], { drainDelayMs: 200 });
  const begin = performance.now();
  stage.emit("SIGTERM");
  assert.deepEqual(log, ["A drains"]);
  await done;
  assert.ok(performance.now() - begin >= 195);
});

for (const [first, second, pauseMs, expected] of [
  ["SIGTERM", "SIGTERM", 0, undefined],
  ["SIGINT", "SIGINT", 100, undefined],
  ["SIGTERM", "SIGTERM", 350, 143],
  ["SIGINT", "SIGINT", 350, 130],
  ["SIGTERM", "SIGINT", 0, 130],
  ["SIGINT", "SIGTERM", 0, 143],
] as const) {
  test(`${first}, ${second} after ${pauseMs} ms: ${expected ?? "one stop"}`, async () => {
    let release: (report: StopReport) => void = () => {};
    const held = new Promise<StopReport>((resolve) => {
      release = resolve;
    });
    const { stage, done } = start([server("A", [], () => held)]);
    stage.emit(first);
    if (pauseMs > 0) await delay(pauseMs);
    stage.emit(second);
    assert.deepEqual(stage.exits, expected === undefined ? [] : [expected]);
    release({ finished: 0, notified: [], cut: [] });
    await done;
  });
}

test("what still runs after the stop is ended", async () => {
  const { stage, done } = start([server("A", [])], { lingerMs: 20 });
  const alive = setInterval(() => {}, 1000); // As a handler that never ends would hold the process.
  const ended = once(stage, "ended");
  stage.emit("SIGTERM");
  await done;
  assert.deepEqual(stage.exits, []);
  await ended;
  clearInterval(alive);
  assert.deepEqual(stage.exits, [0]);
});

test("Z08: a signal before all servers are ready ends the process as soon as they are stopped", async () => {
  const log: string[] = [];
  const booting = server("HTTP", log, async () => ({ finished: 0, notified: [], cut: ["x"] }));
  booting.state = "boot";
  const { stage, done } = start([booting, server("GRPC", log)], { drainDelayMs: 60_000, lingerMs: 60_000 });
  stage.emit("SIGTERM");
  // The program's own start now fails; that is no news.
  stage.emit("uncaughtException", new Error("HTTP was stopped while it started"));
  await done;
  assert.deepEqual(stage.exits, [0]);
  assert.deepEqual(stage.written, []);
});

test("Z11: a fault while everything is ready is reported and outlived", () => {
  const faults: unknown[] = [];
  const { stage } = start([server("A", [])], { onFault: (...fault) => faults.push(fault) });
  const error = new Error("stray");
  stage.emit("uncaughtException", error);
  stage.emit("unhandledRejection", "text");
  assert.deepEqual(faults, [
    [error, "uncaughtException"],
    ["text", "unhandledRejection"],
  ]);
  assert.deepEqual(stage.exits, []);
});

test("a fault is written to standard error whole unless somebody listens", () => {
  const { stage } = start([server("A", [])]);
  stage.emit("uncaughtException", new Error("stray", { cause: new Error("deep") }));
  assert.match(stage.written.join(""), /uncaughtException: Error: stray[^]*cause[^]*deep/);
});

test("a start that fails ends the process with 1 and its message alone", () => {
  const failed = server("HTTP", []);
  failed.state = "error";
  const { stage } = start([server("GRPC", []), failed]);
  stage.emit("uncaughtException", new Error("HTTP cannot listen on 127.0.0.1:80: taken"));
  assert.deepEqual(stage.written, ["HTTP cannot listen on 127.0.0.1:80: taken\n"]);
  assert.deepEqual(stage.exits, [1]);
});

test("a fault before the servers are ready ends the process with 1", () => {
  const waiting = server("HTTP", []);
  waiting.state = "init";
  const { stage } = start([waiting]);
  stage.emit("unhandledRejection", new Error("bad configuration"));
  assert.match(stage.written.join(""), /bad configuration/);
  assert.deepEqual(stage.exits, [1]);
});

test("what is no server is refused at once", () => {
  for (const wrong of [null, undefined, {}, "GRPC"]) {
    assert.throws(() => addServerGracefulStop(wrong as ManagedServer), /takes servers, not/);
  }
});

test("the list of the program is stopped when no servers are given", async () => {
  const log: string[] = [];
  addServerGracefulStop(server("A", log), server("B", log));
  addServerGracefulStop(server("C", log));
  const stage = new Stage();
  const done = catchStopSignals({ process: stage, lingerMs: 0 });
  stage.emit("SIGTERM");
  const report = await done;
  assert.deepEqual(
    report.servers.map(({ name }) => name),
    ["A", "B", "C"],
  );
});
