import { availableParallelism } from "node:os";
import { isSea } from "node:sea";
import type { Socket } from "node:net";
import type { StopSignal } from "../lifecycle/signals.ts";
import { type Clock, systemClock } from "../time/clock.ts";
import { ChannelRolls } from "./channel-rolls.ts";
import { HandOver } from "./hand-over.ts";
import { isInspected, releaseInspector } from "./inspection.ts";
import { checkKernelBalance } from "./kernel-balance.ts";
import { type AcceptedSocket, LiveWorker, type WorkerEnd } from "./live-worker.ts";
import { PostOffice } from "./post-office.ts";
import { PrimaryMetrics } from "./primary-metrics.ts";
import { PrimaryPage } from "./primary-page.ts";
import { PrimaryPorts } from "./primary-ports.ts";
import { failureOf } from "./system-failure.ts";
import { workerCommand } from "./worker-command.ts";
import type { ToPrimary, WantedPage, WantedPort } from "./worker-messages.ts";
import type { PrimaryLog, WorkerOptions } from "./worker-options.ts";
import { StartFailed, WorkerPool } from "./worker-pool.ts";
import { programEnd } from "./program-end.ts";

/** How often workers are asked whether they answer, in milliseconds. */
const pingMs = 1_000;
/** A worker that has not answered for so long gets no connections, in milliseconds. */
const silentMs = 5_000;
/** Terminals and process groups deliver one signal twice, in milliseconds. */
const sameSignalMs = 300;
const signalNumbers = { SIGINT: 2, SIGTERM: 15 } as const;

/** Runs the primary of a program to its end. @throws SetupError for a balance that this system does not have */
export async function runPrimary(options: WorkerOptions & { readonly count: number }): Promise<never> {
  const primary = new Primary(options, systemClock);
  await primary.run();
  // The end is that of the process.
  return new Promise<never>(() => {});
}

class Primary {
  readonly #log: PrimaryLog;
  readonly #clock: Clock;
  readonly #options: WorkerOptions & { readonly count: number };
  readonly #pool: WorkerPool;
  readonly #ports: PrimaryPorts;
  readonly #handOver: HandOver<AcceptedSocket>;
  readonly #posts = new PostOffice();
  readonly #rolls = new ChannelRolls();
  readonly #metrics: PrimaryMetrics;
  readonly #page: PrimaryPage;
  #stopped: { readonly signal: StopSignal; readonly atMs: number } | undefined;

  constructor(options: WorkerOptions & { readonly count: number }, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.#log = options.logger ?? linesOnStderr;
    this.#handOver = new HandOver(clock);
    this.#ports = new PrimaryPorts(options.balance, {
      accepted: (port, socket) => this.#handOver.offer(accepted(port, socket)),
      closed: (port) => this.#handOver.close(port),
    });
    this.#pool = new WorkerPool({
      options,
      clock,
      log: this.#log,
      begin: (place) => this.#begin(place),
      takes: (worker, takes) => this.#handOver.setReady(worker, takes),
    });
    this.#metrics = new PrimaryMetrics(this.#pool, this.#handOver, clock, () => this.#posts.dropped);
    this.#page = new PrimaryPage(this.#metrics);
  }

  async run(): Promise<void> {
    this.#check();
    await releaseInspector();
    process.on("SIGTERM", () => this.#signalled("SIGTERM"));
    process.on("SIGINT", () => this.#signalled("SIGINT"));
    process.on("SIGHUP", () => void this.#pool.renew());
    setInterval(() => this.#ping(), pingMs);
    try {
      await this.#pool.start();
    } catch (error) {
      if (!(error instanceof StartFailed)) throw error;
      // What is wrong it has said itself, unless something has killed it.
      if (error.end.signal !== null) this.#log.error({}, error.message);
      process.exit(error.end.code ?? 1);
    }
    if (this.#stopped === undefined) this.#say();
  }

  #say(): void {
    const pids = [...this.#pool.all].map(({ pid }) => pid);
    process.stdout.write(
      `[WORKERS] primary ${process.pid}, ${pids.length} workers: ${pids.join(", ")}; limits of a process are those of each worker\n`,
    );
  }

  #check(): void {
    const { count, balance } = this.#options;
    const cores = availableParallelism();
    if (count > cores) {
      this.#log.warn({ count, cores }, `${count} workers are more than the ${cores} cores that there are`);
    }
    if (balance === "kernel") checkKernelBalance(this.#log);
  }

  #begin(place: number): LiveWorker {
    const worker = new LiveWorker(place, workerCommand(place, isSea()), this.#clock.nowMs(), {
      message: (from, message) => this.#told(from, message),
      ended: (from, end) => this.#ended(from, end),
    });
    this.#handOver.add(worker);
    this.#posts.add(worker);
    return worker;
  }

  #told(worker: LiveWorker, message: ToPrimary): void {
    switch (message.kind) {
      case "taken":
        return this.#handOver.taken(worker, message.number, message.accepted, message.open);
      case "open":
        return this.#handOver.setOpen(worker, message.open);
      case "pong":
        return this.#ponged(worker, message);
      case "listen":
        return void this.#listen(worker, message.id, message.wanted);
      case "bound":
        return this.#ports.bound(worker.ports.get(message.id) ?? "", message.address);
      case "closed":
        return this.#closed(worker, message.id);
      case "page":
        return void this.#openPage(worker, message.id, message.wanted);
      case "metrics":
        return this.#metrics.heard(worker, message.metrics, message.droppedPosts);
      case "post":
        return this.#posts.post(worker, message.name, message.bytes, message.to);
      case "member":
        return this.#rolls.set(worker, message.name, message.stage);
      case "fault":
        worker.fault = message.message;
        return undefined;
      case "stopped":
        worker.report = message.report;
        worker.stage = "leaving";
        return undefined;
    }
  }

  #ended(worker: LiveWorker, end: WorkerEnd): void {
    this.#ports.forget(worker);
    this.#handOver.remove(worker);
    this.#posts.remove(worker);
    this.#rolls.remove(worker);
    this.#metrics.ended(worker);
    this.#pool.ended(worker, end);
    if (worker.place === 1 && isInspected()) this.#inspectFirst();
  }

  /** The process that replaces worker 1 gets the inspector's address, which the old one had until now. */
  #inspectFirst(): void {
    for (const worker of this.#pool.all) if (worker.place === 1) worker.say({ kind: "inspect" });
  }

  #ponged(
    worker: LiveWorker,
    { number, isReady, memoryBytes }: Extract<ToPrimary, { readonly kind: "pong" }>,
  ): void {
    this.#handOver.passed(worker, number);
    if (!isReady) return;
    worker.heardMs = this.#clock.nowMs();
    if (worker.stage === "starting") this.#pool.ready(worker);
    else if (worker.stage === "serving") this.#handOver.setReady(worker, true);
    const { maxMemoryBytes } = this.#options;
    if (maxMemoryBytes > 0 && memoryBytes > maxMemoryBytes) this.#pool.replaceLarge(worker);
  }

  #ping(): void {
    const nowMs = this.#clock.nowMs();
    for (const worker of this.#pool.all) {
      worker.say({ kind: "ping", number: this.#handOver.lastNumber });
      if (nowMs - worker.heardMs > silentMs) this.#handOver.setReady(worker, false);
    }
  }

  async #listen(worker: LiveWorker, id: number, wanted: WantedPort): Promise<void> {
    const picked = `${wanted.name} ${wanted.host} 0 #`;
    const ordinal = [...worker.ports.values()].filter((key) => key.startsWith(picked)).length;
    const { key, answer } = await this.#ports.open(worker, wanted, ordinal);
    if (!("failure" in answer)) {
      worker.ports.set(id, key);
      this.#handOver.setServes(worker, key, true);
    }
    worker.say({ kind: "port", id, answer });
  }

  #closed(worker: LiveWorker, id: number): void {
    const key = worker.ports.get(id);
    if (key === undefined) return;
    worker.ports.delete(id);
    this.#handOver.setServes(worker, key, false);
    this.#ports.leave(worker, key);
  }

  async #openPage(worker: LiveWorker, id: number, wanted: WantedPage): Promise<void> {
    this.#metrics.expect(worker);
    try {
      worker.say({ kind: "port", id, answer: { address: await this.#page.open(wanted) } });
    } catch (error) {
      const { cause = error } = error instanceof Error ? error : {};
      worker.say({ kind: "port", id, answer: { failure: failureOf(cause) } });
    }
  }

  #signalled(signal: StopSignal): void {
    const atMs = this.#clock.nowMs();
    const before = this.#stopped;
    if (before === undefined) {
      this.#stopped = { signal, atMs };
      void this.#stop(signal);
    } else if (before.signal !== signal || atMs - before.atMs >= sameSignalMs) {
      this.#pool.kill();
      process.exit(128 + signalNumbers[signal]);
    }
  }

  async #stop(signal: StopSignal): Promise<void> {
    const ends = await this.#pool.stop(signal);
    const { code, text } = programEnd(signal, ends);
    process.stdout.write(`${text}\n`, () => process.exit(code));
  }
}

function accepted(port: string, socket: Socket): AcceptedSocket {
  return { port, socket, release: () => socket.destroy() };
}

const linesOnStderr: PrimaryLog = {
  info: (_fields, message) => writeLine(message),
  warn: (_fields, message) => writeLine(message),
  error: (_fields, message) => writeLine(message),
};

function writeLine(message: string): void {
  process.stderr.write(`[WORKERS] ${message}\n`);
}
