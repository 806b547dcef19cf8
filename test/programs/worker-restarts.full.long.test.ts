import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Program } from "../support/program.ts";
import { grpcCalls, type LoadCall, SteadyLoad } from "../support/steady-load.ts";
import { eventually, isAlive, sample } from "../support/worker-program.ts";

const workers = 4;

/** What the primary holds. */
interface Held {
  /** Of objects, without compiled code. */
  readonly heapBytes: number;
  readonly residentBytes: number;
  /** What keeps its event loop alive, by kind: handles, sockets, timers. */
  readonly resources: Readonly<Record<string, number>>;
  /** Listeners of the process, by event. */
  readonly listeners: Readonly<Record<string, number>>;
  readonly openFiles: number;
}

/** A program in workers, whose primary is asked what it holds. */
class Restarted {
  readonly #program: Program;
  #asked = 0;
  #expected = workers;

  constructor(program: Program) {
    this.#program = program;
  }

  /** Ends all workers at once, which others replace. */
  async killAll(): Promise<void> {
    for (const pid of this.#pids.slice(-workers)) process.kill(pid, "SIGKILL");
    await this.#replaced();
  }

  /** Has all workers replaced, one after the other; those that do not serve yet would be left as they are. */
  async renewAll(): Promise<void> {
    while (sample(await this.page(), 'ts_ms_workers{state="serving"}') !== workers) await pause(500);
    this.#program.kill("SIGHUP");
    await this.#replaced();
    const ended = this.#pids.slice(-2 * workers, -workers);
    await eventually("the last of them is gone", () => (ended.some(isAlive) ? undefined : true));
  }

  async held(): Promise<Held> {
    const { pid } = this.#program;
    this.#program.kill("SIGUSR2");
    const line = new RegExp(`^\\[PRIMARY ${++this.#asked}\\] (.*)$`);
    const [, text = ""] = await this.#program.line(line);
    const said = JSON.parse(text) as Omit<Held, "openFiles">; // As the fixture writes it.
    return { ...said, openFiles: readdirSync(`/proc/${pid}/fd`).length };
  }

  async page(): Promise<string> {
    const address = await this.#program.metrics();
    return (await fetch(address, { headers: { connection: "close" } })).text();
  }

  /** All processes that have served, in their order. */
  get #pids(): readonly number[] {
    return this.#program.lines.flatMap((line) => {
      const [, pid] = /^worker \d+ is process (\d+)$/.exec(line) ?? [];
      return pid === undefined ? [] : [Number(pid)];
    });
  }

  /** Pages of metrics, which cost the primary more than a restart, are not asked for it. */
  async #replaced(): Promise<void> {
    this.#expected += workers;
    await eventually(
      `${this.#expected} processes have served`,
      () => (this.#pids.length >= this.#expected ? true : undefined),
      60_000,
    );
  }
}

/** gRPC over a new connection for each call. */
function freshGrpcCalls(address: string): LoadCall {
  return async (number) => {
    using call = grpcCalls(address);
    await call(number);
  };
}

test(
  "100 restarts of workers under load leave nothing in the primary: no memory, file, listener or timer",
  { timeout: 290_000 },
  async () => {
    const file = "test/programs/fixtures/restarted-program.ts";
    await using program = new Program({ file, flags: ["--expose-gc"] });
    await program.line(/^\[WORKERS\] primary/);
    const restarted = new Restarted(program);
    const address = await program.address("GRPC");
    const during = async (work: () => Promise<void>): Promise<void> => {
      using load = new SteadyLoad([freshGrpcCalls(address)], 20);
      await work();
      const { done, lost } = await load.stop();
      assert.ok(done > 0);
      assert.deepEqual(
        lost.filter((text) => text.includes("ECONNREFUSED")),
        [],
      );
    };
    await during(async () => {
      for (let round = 0; round < 3; round++) await restarted.killAll();
      await restarted.renewAll();
    });
    const before = await restarted.held();
    await during(async () => {
      for (let round = 0; round < 22; round++) await restarted.killAll();
      for (let round = 0; round < 3; round++) await restarted.renewAll();
    });
    await eventually("sockets and processes of the load are gone", async () => {
      const { resources, openFiles } = await restarted.held();
      const isLike =
        openFiles <= before.openFiles && JSON.stringify(resources) === JSON.stringify(before.resources);
      return isLike ? true : undefined;
    }).catch(() => {});
    const after = await restarted.held();
    assert.deepEqual(after.resources, before.resources);
    assert.deepEqual(after.listeners, before.listeners);
    assert.ok(after.openFiles <= before.openFiles, `${before.openFiles} files, then ${after.openFiles}`);
    const grown = after.heapBytes - before.heapBytes;
    assert.ok(grown <= 128 * 1024, `${grown} bytes of objects more`);
    // V8 takes memory for garbage of messages until it has to collect it, up to a few megabytes each.
    const larger = after.residentBytes - before.residentBytes;
    assert.ok(larger <= 24 * 1024 * 1024, `${larger} bytes of memory more`);
    const page = await restarted.page();
    const restarts = ["died", "start", "reload"].map(
      (cause) => sample(page, `ts_ms_worker_restarts_total{cause="${cause}"}`) ?? 0,
    );
    assert.ok(restarts.reduce((sum, count) => sum + count, 0) >= 116, restarts.join());
    assert.equal((await program.stop()).code, 0);
  },
);
