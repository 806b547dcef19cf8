import type { Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { stopControl, type StopSignal } from "../lifecycle/signals.ts";
import type { ListenAddress } from "../net/listener.ts";
import { usePortSource } from "../net/port-source.ts";
import { type MetricsPages, type PageHost, usePageHost } from "../telemetry/exporter.ts";
import { takeInspector } from "./inspection.ts";
import { errorOf } from "./system-failure.ts";
import { allHaveLeft, droppedPosts, received, rollChanged, usePrimary } from "./worker-channel.ts";
import type { PortAnswer, ToPrimary, ToWorker, WantedPage } from "./worker-messages.ts";
import { WorkerPorts } from "./worker-ports.ts";

/** How often the worker looks whether its servers are ready, in milliseconds. */
const lookMs = 50;
/** How long members of channels may take to leave when all servers have stopped, in milliseconds. */
const leaveMs = 400;
/** How often metrics go to the primary, in milliseconds. */
const metricsMs = 1_000;

/** This process is a worker: from now on it gets connections of its primary, which also serves its metrics and stops it. */
export function startWorker(): void {
  const worker = new Worker();
  usePortSource(worker.ports);
  usePageHost(worker);
  usePrimary((message, written) => worker.say(message, written));
  process.on("message", (message, socket) => worker.told(message as ToWorker, socket as Socket | undefined)); // Of our primary.
  process.on("disconnect", () => worker.orphaned());
  process.on("uncaughtExceptionMonitor", (error: unknown) => {
    worker.say({ kind: "fault", message: error instanceof Error ? error.message : String(error) });
  });
  worker.watch();
  if (!process.connected) worker.orphaned(); // The primary has ended while this process was about to start.
}

class Worker implements PageHost {
  readonly ports = new WorkerPorts((message) => this.say(message));
  readonly #pages = new Map<number, PromiseWithResolvers<ListenAddress>>();
  #lastPage = 0;
  /** Number of the last ping, and so of the last connection before it. */
  #pinged = 0;
  #isReady = false;
  #hasEnded = false;
  #isWatched = false;
  #metrics: MetricsPages | undefined;
  #isReading = false;

  say(message: ToPrimary, written: () => void = () => {}): void {
    if (process.connected) process.send?.(message, undefined, undefined, written);
  }

  open(wanted: WantedPage, metrics: MetricsPages): Promise<ListenAddress> {
    const id = --this.#lastPage; // Those of ports are positive.
    const asked = Promise.withResolvers<ListenAddress>();
    this.#pages.set(id, asked);
    this.say({ kind: "page", id, wanted });
    this.#metrics ??= metrics;
    return asked.promise;
  }

  told(message: ToWorker, socket: Socket | undefined): void {
    switch (message.kind) {
      case "connection":
        return this.ports.take(message.id, message.number, socket);
      case "ping":
        this.#pinged = message.number;
        return this.#pong();
      case "port":
        return this.#answered(message.id, message.answer);
      case "report":
        return void this.#report();
      case "inspect":
        return void takeInspector();
      case "post":
        return received(message.name, message.bytes, message.from);
      case "roll":
        return rollChanged(message.name, message.roll);
      case "stop":
        return stop(message.signal, message.drainDelayMs);
    }
  }

  /** The primary is gone, and with it the ports. */
  orphaned(): void {
    if (!this.#hasEnded) stop("SIGTERM", 0);
  }

  /** Looks at times for what the program has and is. */
  watch(): void {
    setInterval(() => this.#look(), lookMs).unref();
    setInterval(() => void this.#report(), metricsMs).unref();
  }

  #look(): void {
    const control = stopControl();
    if (control !== undefined && !this.#isWatched) {
      this.#isWatched = true;
      void control.report.then(async (report) => {
        this.say({ kind: "stopped", report });
        await this.#report();
        await Promise.race([allHaveLeft(), pause(leaveMs, undefined, { ref: false })]);
        this.#end();
      });
    }
    const servers = control === undefined ? undefined : [...control.servers];
    const isReady =
      servers === undefined
        ? this.ports.isListening
        : servers.length > 0 && servers.every(({ state }) => state === "ready");
    if (isReady === this.#isReady) return;
    this.#isReady = isReady;
    this.#pong();
  }

  #pong(): void {
    this.say({
      kind: "pong",
      number: this.#pinged,
      isReady: this.#isReady,
      memoryBytes: residentBytes(),
    });
  }

  #answered(id: number, answer: PortAnswer): void {
    const page = this.#pages.get(id);
    if (page === undefined) return this.ports.answered(id, answer);
    this.#pages.delete(id);
    if ("address" in answer) page.resolve(answer.address);
    else if ("failure" in answer) page.reject(errorOf(answer.failure));
  }

  async #report(): Promise<void> {
    if (this.#metrics === undefined || this.#isReading) return;
    this.#isReading = true;
    const metrics = await this.#metrics.values().catch(() => undefined); // A collector failed: others come later.
    this.#isReading = false;
    if (metrics !== undefined) this.say({ kind: "metrics", metrics, droppedPosts: droppedPosts() });
  }

  /** Everything is said: the channel holds the process no more. */
  #end(): void {
    this.#hasEnded = true;
    if (process.connected) process.disconnect?.();
  }
}

/** Memory of this process; 0 while it has no file by which the system says it. */
function residentBytes(): number {
  try {
    return process.memoryUsage.rss();
  } catch {
    return 0;
  }
}

function stop(signal: StopSignal, drainDelayMs: number | undefined): void {
  const control = stopControl();
  if (control === undefined) process.kill(process.pid, signal);
  else control.stop(signal, drainDelayMs);
}
