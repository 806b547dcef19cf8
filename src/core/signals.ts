import { inspect } from "node:util";
import { durationFlag } from "./flag-kinds.ts";
import { defaultGraceMs, type ManagedServer, type StopReport } from "./lifecycle.ts";

/** Signals that stop a program gracefully, and their numbers, of which exit codes are made. */
const stopSignals = { SIGINT: 2, SIGTERM: 15 } as const;

/** A signal that stops a program gracefully. */
export type StopSignal = keyof typeof stopSignals;

/** Where an exception or rejection outside of any call came from, as Node calls it. */
export type FaultOrigin = "uncaughtException" | "unhandledRejection";

/** What of `process` is needed, for tests to put something else in its place. */
export interface ProcessLike {
  on(event: StopSignal, listener: () => void): unknown;
  on(event: FaultOrigin, listener: (reason: unknown) => void): unknown;
  exit(code: number): void;
  exitCode?: number | string | null | undefined;
  readonly stderr: { write(text: string): unknown };
}

/** Options of `catchStopSignals`. */
export interface StopSignalOptions {
  /** How long everything is still served while health and readiness say no, in milliseconds. Default: 0. */
  readonly drainDelayMs: number;
  /** How long calls under way may go on, in milliseconds, for all servers together. Default: 15,000. */
  readonly graceMs: number;
  /**
   * How long after the stop the process may go on, in milliseconds, for what the program does after it waited; whatever
   * still runs then is ended. Default: 500.
   */
  readonly lingerMs: number;
  /** Is told of exceptions and rejections outside of any call. Default: they are written to standard error whole. */
  readonly onFault: (reason: unknown, origin: FaultOrigin) => void;
  /** The servers to stop, in this order. Default: those of `addServerGracefulStop`. */
  readonly servers: Iterable<ManagedServer>;
  /** Default: this process. */
  readonly process: ProcessLike;
}

/** How a program stopped. */
export interface ShutdownReport extends StopReport {
  readonly signal: StopSignal;
  /** What each server says, in the order in which they were stopped. */
  readonly servers: readonly (StopReport & { readonly name: string })[];
  /** Code with which the process ends: 0 when nothing was cut, else 1. */
  readonly exitCode: 0 | 1;
}

/** Flags for programs that stop gracefully. */
export const stopFlags = {
  drainDelay: durationFlag(
    0,
    "Go on serving for this long after a stop signal, with health and readiness off",
  ),
} as const;

/** Terminals and process groups deliver one Ctrl-C twice; the same signal within this time is one, in milliseconds. */
const sameSignalMs = 300;

/** How long a stop during start-up may take, in milliseconds. */
const startUpGraceMs = 1_000;

/** How long a server may take over its grace before it counts as hung, in milliseconds. */
const overtimeMs = 1_000;

/** The servers of this program, in the order in which they are stopped. */
const registered = new Set<ManagedServer>();

/**
 * Puts servers on the list that `catchStopSignals` stops, in this order: whoever calls first, the gateway before the
 * gRPC server behind it, so that its requests under way still find their upstream.
 *
 * @throws TypeError for anything that is no server.
 */
export function addServerGracefulStop(...servers: readonly ManagedServer[]): void {
  for (const server of servers) {
    // Untyped callers have put null here before, and noticed it at the first signal.
    if (typeof (server as ManagedServer | null | undefined)?.gracefulStop !== "function") {
      throw new TypeError(`addServerGracefulStop takes servers, not ${inspect(server)}`);
    }
  }
  for (const server of servers) registered.add(server);
}

/**
 * Makes SIGINT and SIGTERM stop the servers gracefully, and resolves when they have.
 *
 * After the signal health and readiness say no for `drainDelayMs`; then the servers stop one after the other, all of
 * them within `graceMs`. The exit code is 0 when nothing was cut and 1 otherwise. A second signal ends the process at
 * once with 128 and its number. A signal before all servers are ready ends the process with 0 as soon as they are
 * stopped.
 *
 * From now on exceptions and rejections outside of any call do not end the process either, as soon as all servers are
 * ready; before that, and after the stop, they end it with 1.
 *
 * Call it once, before the servers start.
 */
export function catchStopSignals(options: Partial<StopSignalOptions> = {}): Promise<ShutdownReport> {
  const target = options.process ?? process;
  const servers = options.servers ?? registered;
  let stop: { readonly signal: StopSignal; readonly at: number; readonly startUp: boolean } | undefined;
  let stopped = false;

  return new Promise((resolve) => {
    const onSignal = (signal: StopSignal): void => {
      const at = performance.now();
      if (stop !== undefined) {
        if (stop.signal === signal && at - stop.at < sameSignalMs) return;
        target.exit(128 + stopSignals[signal]);
        return;
      }
      const startUp = [...servers].some(({ state }) => !isStarted(state));
      stop = { signal, at, startUp };
      void shutDown(signal, [...servers], startUp, options).then((report) => {
        stopped = true;
        target.exitCode = report.exitCode;
        resolve(report);
        if (startUp) target.exit(report.exitCode);
        else setTimeout(() => target.exit(report.exitCode), options.lingerMs ?? 500).unref();
      });
    };
    const onFault = (reason: unknown, origin: FaultOrigin): void => {
      // The program's own start fails when it is stopped in the midst of it.
      if (stop?.startUp === true) return;
      const states = [...servers].map(({ state }) => state);
      const startFailed = !states.every(isStarted) || states.length === 0;
      if (startFailed)
        target.stderr.write(`${saysItAll(reason, states) ? reason.message : inspect(reason)}\n`);
      else if (options.onFault === undefined) target.stderr.write(`${origin}: ${inspect(reason)}\n`);
      else options.onFault(reason, origin);
      if (startFailed || stopped) target.exit(1);
    };
    target.on("SIGINT", () => onSignal("SIGINT"));
    target.on("SIGTERM", () => onSignal("SIGTERM"));
    target.on("uncaughtException", (reason) => onFault(reason, "uncaughtException"));
    target.on("unhandledRejection", (reason) => onFault(reason, "unhandledRejection"));
  });
}

/** Whether the message of a failed start is enough for people: the error is a server's own, about a port for example. */
function saysItAll(reason: unknown, states: ReadonlyArray<ManagedServer["state"]>): reason is Error {
  if (!(reason instanceof Error)) return false;
  return states.includes("error") || (reason.cause instanceof Error && "syscall" in reason.cause);
}

function isStarted(state: ManagedServer["state"]): boolean {
  return state === "ready" || state === "graceful" || state === "stop";
}

async function shutDown(
  signal: StopSignal,
  servers: readonly ManagedServer[],
  startUp: boolean,
  options: Partial<StopSignalOptions>,
): Promise<ShutdownReport> {
  for (const server of servers) drain(server);
  const { drainDelayMs = 0 } = options;
  if (drainDelayMs > 0 && !startUp) await delay(drainDelayMs);
  const graceMs = startUp ? startUpGraceMs : (options.graceMs ?? defaultGraceMs);
  const end = performance.now() + graceMs;
  const reports: (StopReport & { readonly name: string })[] = [];
  for (const server of servers) {
    const left = Math.max(end - performance.now(), 0);
    reports.push({ name: server.name, ...(await stopOne(server, left)) });
  }
  const cut = reports.flatMap((report) => report.cut);
  const finished = reports.reduce((sum, report) => sum + report.finished, 0);
  return { signal, finished, cut, servers: reports, exitCode: cut.length === 0 || startUp ? 0 : 1 };
}

function drain(server: ManagedServer): void {
  try {
    server.drain();
  } catch {
    // One server's failure must not keep the others up; its stop will say more.
  }
}

/** The report of one server's stop, which comes in time whatever the server does. */
async function stopOne(server: ManagedServer, graceMs: number): Promise<StopReport> {
  let timer: NodeJS.Timeout | undefined;
  const hung = new Promise<StopReport>((resolve) => {
    timer = setTimeout(
      () => resolve({ finished: 0, cut: [`${server.name}: the stop hung`] }),
      graceMs + overtimeMs,
    );
  });
  try {
    return await Promise.race([server.gracefulStop({ graceMs }), hung]);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return { finished: 0, cut: [`${server.name}: the stop failed: ${problem}`] };
  } finally {
    clearTimeout(timer);
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
