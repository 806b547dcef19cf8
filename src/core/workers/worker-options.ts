import { availableParallelism } from "node:os";
import { checkOptions, show } from "../config/check-options.ts";
import { SetupError } from "../errors/setup-error.ts";
import { defaultGraceMs } from "../lifecycle/lifecycle.ts";

/** How the connections of a port come to workers. */
export const workerBalances = ["connections", "kernel"] as const;

/** One of `workerBalances`. */
export type WorkerBalance = (typeof workerBalances)[number];

/** Pauses before a dead worker is replaced, in milliseconds. */
export interface RestartPauses {
  /** The first one; each further one is twice as long. A worker that has lived for 60 s begins anew. */
  readonly initialMs: number;
  /** The longest one. */
  readonly maxMs: number;
}

/** What the primary writes; a logger of pino has these. */
export interface PrimaryLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Options of `inWorkers`. */
export interface WorkerOptions {
  /**
   * How many processes serve; `auto` is as many as there are cores to use. With 1 it is this one. Default: what the
   * environment variable TS_MS_WORKERS says, else 1.
   */
  readonly count: number | "auto" | undefined;
  /**
   * `connections`: the primary accepts, and hands each connection to the worker that has the fewest. `kernel`: each
   * worker binds by SO_REUSEPORT, and the system chooses by a hash; for ten thousands of short connections a second.
   * Default: `connections`.
   */
  readonly balance: WorkerBalance;
  /** How long a new worker may take until all of its servers are ready, in milliseconds. Default: 30,000. */
  readonly startTimeoutMs: number;
  /** Grace period of the program, as of `catchStopSignals`, in milliseconds. Default: 15,000. */
  readonly graceMs: number;
  /** Drain delay of the program, as of `catchStopSignals`, in milliseconds. Default: 0. */
  readonly drainDelayMs: number;
  /** Pauses before a dead worker is replaced. Default: 200 ms up to 30 s. */
  readonly restart: RestartPauses;
  /** Resident memory at which a worker is replaced, as by SIGHUP, in bytes; 0 for never. Default: 0. */
  readonly maxMemoryBytes: number;
  /** Is told what happens to workers. Default: lines on standard error. */
  readonly logger: PrimaryLog | undefined;
}

/** The defaults of `WorkerOptions`. */
export const workerDefaults: WorkerOptions = Object.freeze({
  count: undefined,
  balance: "connections",
  startTimeoutMs: 30_000,
  graceMs: defaultGraceMs,
  drainDelayMs: 0,
  restart: Object.freeze({ initialMs: 200, maxMs: 30_000 }),
  maxMemoryBytes: 0,
  logger: undefined,
});

/** The most workers: a higher number is a mistake. */
const mostWorkers = 1_024;

/** A number of workers as text. @throws Error that says what is allowed */
export function readCount(text: string): number | "auto" {
  if (text === "auto") return text;
  const count = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= mostWorkers) return count;
  throw new Error(`must be a whole number from 1 to ${mostWorkers}, or auto`);
}

/** All options, with their defaults. @throws SetupError naming the one that cannot be used */
export function mergedWorkerOptions(
  options: Partial<WorkerOptions>,
  env: NodeJS.ProcessEnv = process.env,
): WorkerOptions & { readonly count: number } {
  checkOptions<WorkerOptions>("inWorkers", options, workerDefaults);
  const said = Object.entries(options).filter(([, value]) => value !== undefined);
  const merged: WorkerOptions = { ...workerDefaults, ...Object.fromEntries(said) };
  const asked = merged.count ?? countOf(env["TS_MS_WORKERS"]);
  const count = asked === "auto" ? availableParallelism() : asked;
  if (!Number.isInteger(count) || count < 1 || count > mostWorkers) {
    throw new SetupError(
      `inWorkers: the option count must be a whole number from 1 to ${mostWorkers} or "auto", not ${show(count)}`,
    );
  }
  if (!workerBalances.includes(merged.balance)) {
    throw new SetupError(
      `inWorkers: the option balance must be one of ${workerBalances.join(", ")}, not ${show(merged.balance)}`,
    );
  }
  return { ...merged, count };
}

function countOf(text: string | undefined): number | "auto" {
  if (text === undefined || text === "") return 1;
  try {
    return readCount(text);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new SetupError(`bad value ${JSON.stringify(text)} of TS_MS_WORKERS: ${problem}`);
  }
}
