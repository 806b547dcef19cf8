import { setTimeout as delay } from "node:timers/promises";
import { inspect } from "node:util";
import { defaultGraceMs, type ManagedServer, type StopReport } from "./lifecycle.ts";
import { FlagError, SetupError } from "../errors/setup-error.ts";

/** Signals that stop a program gracefully, and their numbers, of which exit codes are made. */
const stopSignals = { SIGINT: 2, SIGTERM: 15 } as const;

/** A signal that stops a program gracefully. */
export type StopSignal = keyof typeof stopSignals;

/** Origin of an exception or rejection outside of any call, by the name of Node's event. */
export type FaultOrigin = "uncaughtException" | "unhandledRejection";

/** The part of `process` that is used, so that tests can replace it. */
export interface ProcessLike {
  on(event: StopSignal, listener: () => void): unknown;
  on(event: FaultOrigin, listener: (reason: unknown) => void): unknown;
  exit(code: number): void;
  exitCode?: number | string | null | undefined;
  readonly stderr: { write(text: string): unknown };
}

/** Options of `catchStopSignals`. */
export interface StopSignalOptions {
  /**
   * How long the servers still accept calls while health and readiness report not serving, in milliseconds. Default: 0.
   */
  readonly drainDelayMs: number;
  /** Grace period of calls in flight, in milliseconds, for all servers together. Default: 15,000. */
  readonly graceMs: number;
  /**
   * How long the process may run after the stop, in milliseconds, for code of the program that awaits the report. Then
   * the process exits. Default: 500.
   */
  readonly lingerMs: number;
  /**
   * Called with exceptions and rejections outside of any call. Default: they are written to standard error with their
   * stack.
   */
  readonly onFault: ((reason: unknown, origin: FaultOrigin) => void) | undefined;
  /** The servers to stop, in this order. Default: those of `addServerGracefulStop`. */
  readonly servers: Iterable<ManagedServer>;
  /** Default: this process. */
  readonly process: ProcessLike;
}

/** The outcome of a program's stop. */
export interface ShutdownReport extends StopReport {
  readonly signal: StopSignal;
  /** The report of each server, in the order in which they were stopped. */
  readonly servers: readonly (StopReport & { readonly name: string })[];
  /** Exit code of the process: 0 if no call was aborted, else 1. */
  readonly exitCode: 0 | 1;
}

/** Terminals and process groups deliver one Ctrl-C twice; the same signal within this time is one, in milliseconds. */
const sameSignalMs = 300;

/** Exit code for invalid flags. */
const usageError = 2;

/** How long a stop during start-up may take, in milliseconds. */
const startUpGraceMs = 1_000;

/** How long a server's stop may exceed the grace period before the server counts as hung, in milliseconds. */
const overtimeMs = 1_000;

/** How the program is stopped by something else than a signal. */
export interface StopControl {
  /** Its servers, as they are now. */
  readonly servers: Iterable<ManagedServer>;
  /** Resolves when they have stopped. */
  readonly report: Promise<ShutdownReport>;
  /**
   * Stops them as a signal does; nothing happens if they are stopping already.
   *
   * @param drainDelayMs in place of the option's
   */
  stop(signal: StopSignal, drainDelayMs?: number): void;
}

let control: StopControl | undefined;

/** What stops this program; undefined before `catchStopSignals` was called. */
export function stopControl(): StopControl | undefined {
  return control;
}

/** The servers of this program, in the order in which they are stopped. */
const registered = new Set<ManagedServer>();

/** The defaults of `StopSignalOptions`. */
export const stopSignalDefaults: StopSignalOptions = Object.freeze({
  drainDelayMs: 0,
  graceMs: defaultGraceMs,
  lingerMs: 500,
  onFault: undefined,
  servers: registered,
  process,
});

/**
 * Adds servers to the list that `catchStopSignals` stops in order. A gateway must come before the gRPC server behind
 * it, so that its requests in flight still reach their upstream.
 *
 * @throws TypeError for a value that is no server.
 */
export function addServerGracefulStop(...servers: readonly ManagedServer[]): void {
  for (const server of servers) {
    // JavaScript callers can pass null: without this check it would fail only at the first signal.
    if (typeof (server as ManagedServer | null | undefined)?.gracefulStop !== "function") {
      throw new TypeError(`addServerGracefulStop takes servers, not ${inspect(server)}`);
    }
  }
  for (const server of servers) registered.add(server);
}

/**
 * Makes SIGINT and SIGTERM stop the servers gracefully. Resolves when they have stopped.
 *
 * After the signal, health and readiness report not serving for `drainDelayMs`; then the servers stop one after the
 * other, all of them within `graceMs`. The exit code is 0 if no call was aborted and 1 otherwise. A second signal ends
 * the process immediately with exit code 128 plus its number. After a signal that arrives before all servers are ready,
 * the process exits with 0 as soon as they are stopped.
 *
 * Exceptions and rejections outside of any call no longer end the process once all servers are ready. Before that, and
 * after the stop, they end it with exit code 1, or 2 for invalid flags.
 *
 * Call it once, before the servers are constructed: then an error in their options is printed as one line.
 */
export function catchStopSignals(options: Partial<StopSignalOptions> = {}): Promise<ShutdownReport> {
  const merged = { ...stopSignalDefaults, ...options };
  const { process: target } = merged;
  const watch = new SignalWatch(merged);
  if (target === process) {
    const stop: StopControl["stop"] = (signal, drainDelayMs) => watch.asked(signal, drainDelayMs);
    control = { servers: merged.servers, report: watch.report, stop };
  }
  target.on("SIGINT", () => watch.signalled("SIGINT"));
  target.on("SIGTERM", () => watch.signalled("SIGTERM"));
  target.on("uncaughtException", (reason) => watch.fault(reason, "uncaughtException"));
  target.on("unhandledRejection", (reason) => watch.fault(reason, "unhandledRejection"));
  return watch.report;
}

/** The stage of a program's stop. */
type Stage =
  | { readonly kind: "running" }
  | { readonly kind: "stopping"; readonly signal: StopSignal; readonly at: number; readonly startUp: boolean }
  | { readonly kind: "stopped"; readonly signal: StopSignal; readonly at: number };

/** Handles signals and faults depending on the stage of the program. */
class SignalWatch {
  readonly report: Promise<ShutdownReport>;
  readonly #options: StopSignalOptions;
  #stage: Stage = { kind: "running" };
  #settle: (report: ShutdownReport) => void = () => {};

  constructor(options: StopSignalOptions) {
    this.#options = options;
    this.report = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  signalled(signal: StopSignal): void {
    const at = performance.now();
    const stage = this.#stage;
    if (stage.kind === "running") {
      void this.#stop(signal, at);
    } else if (stage.signal !== signal || at - stage.at >= sameSignalMs) {
      this.#options.process.exit(128 + stopSignals[signal]);
    }
  }

  /** As a signal that is the only one. */
  asked(signal: StopSignal, drainDelayMs?: number): void {
    if (this.#stage.kind === "running") void this.#stop(signal, performance.now(), drainDelayMs);
  }

  fault(reason: unknown, origin: FaultOrigin): void {
    const stage = this.#stage;
    // A stop during start-up makes `start()` of the servers fail: that is no fault.
    if (stage.kind === "stopping" && stage.startUp) return;
    const { process: target, servers, onFault } = this.#options;
    const states = [...servers].map(({ state }) => state);
    const startFailed = !states.every(isStarted) || states.length === 0;
    if (startFailed) {
      target.stderr.write(`${isSelfExplanatory(reason, states) ? reason.message : inspect(reason)}\n`);
    } else if (onFault === undefined) {
      target.stderr.write(`${origin}: ${inspect(reason)}\n`);
    } else {
      onFault(reason, origin);
    }
    if (startFailed || stage.kind === "stopped") target.exit(reason instanceof FlagError ? usageError : 1);
  }

  async #stop(signal: StopSignal, at: number, drainDelayMs = this.#options.drainDelayMs): Promise<void> {
    const { process: target, servers, lingerMs } = this.#options;
    const startUp = [...servers].some(({ state }) => !isStarted(state));
    this.#stage = { kind: "stopping", signal, at, startUp };
    const report = await shutDown(signal, startUp, { ...this.#options, drainDelayMs });
    this.#stage = { kind: "stopped", signal, at };
    target.exitCode = report.exitCode;
    this.#settle(report);
    if (startUp) target.exit(report.exitCode);
    else setTimeout(() => target.exit(report.exitCode), lingerMs).unref();
  }
}

/**
 * Whether the message of a failed start is sufficient without its stack: the error is about options or contracts, or
 * comes from a server, for example about a port.
 */
function isSelfExplanatory(reason: unknown, states: ReadonlyArray<ManagedServer["state"]>): reason is Error {
  if (!(reason instanceof Error)) return false;
  if (reason instanceof SetupError) return true;
  return states.includes("error") || (reason.cause instanceof Error && "syscall" in reason.cause);
}

function isStarted(state: ManagedServer["state"]): boolean {
  return state === "ready" || state === "graceful" || state === "stop";
}

async function shutDown(
  signal: StopSignal,
  startUp: boolean,
  options: StopSignalOptions,
): Promise<ShutdownReport> {
  const servers = [...options.servers];
  for (const server of servers) drain(server);
  if (options.drainDelayMs > 0 && !startUp) await delay(options.drainDelayMs);
  const graceMs = startUp ? startUpGraceMs : options.graceMs;
  const end = performance.now() + graceMs;
  const reports: (StopReport & { readonly name: string })[] = [];
  for (const server of servers) {
    const left = Math.max(end - performance.now(), 0);
    reports.push({ name: server.name, ...(await stopOne(server, left)) });
  }
  const cut = reports.flatMap((report) => report.cut);
  const notified = reports.flatMap((report) => report.notified);
  const finished = reports.reduce((sum, report) => sum + report.finished, 0);
  return { signal, finished, notified, cut, servers: reports, exitCode: cut.length === 0 || startUp ? 0 : 1 };
}

function drain(server: ManagedServer): void {
  try {
    server.drain();
  } catch {
    // An error of one server must not prevent the stop of the others; its `gracefulStop` will report the problem.
  }
}

/** Stops one server. Resolves with a report even if the server hangs or throws. */
async function stopOne(server: ManagedServer, graceMs: number): Promise<StopReport> {
  let timer: NodeJS.Timeout | undefined;
  const hung = new Promise<StopReport>((resolve) => {
    timer = setTimeout(
      () => resolve({ finished: 0, notified: [], cut: [`${server.name}: the stop hung`] }),
      graceMs + overtimeMs,
    );
  });
  try {
    return await Promise.race([server.gracefulStop({ graceMs }), hung]);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return { finished: 0, notified: [], cut: [`${server.name}: the stop failed: ${problem}`] };
  } finally {
    clearTimeout(timer);
  }
}
