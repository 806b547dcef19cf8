import { catchStopSignals, type ShutdownReport } from "../core/lifecycle/signals.ts";
import type { ManagedServer } from "../core/lifecycle/lifecycle.ts";
import { workerId } from "../core/lifecycle/worker-process.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import type { AppOptions } from "./app-options.ts";
import type { AppPlan } from "./app-plan.ts";
import { endProgram, mistaken } from "./end-program.ts";

/** An app that runs as the program. */
export interface RunningApp {
  readonly options: AppOptions;
  readonly plan: AppPlan | undefined;
  /** Its servers in the order of the stop. @param isUp whether the start is over */
  readonly servers: (isUp: () => boolean) => Iterable<ManagedServer>;
  readonly start: () => Promise<void>;
  /** Called when the servers have stopped. */
  readonly stopped: () => Promise<void>;
  /** Lines for the start-up message. */
  readonly describe: () => readonly string[];
}

/** Starts an app, prints where it listens, and stops it at a signal. Only one app of a process can run. */
export async function runApp(app: RunningApp): Promise<ShutdownReport> {
  const { drainDelayMs, graceMs, onFault } = app.options;
  let isUp = false;
  const servers = app.servers(() => isUp);
  const stopped = catchStopSignals({ servers, drainDelayMs, graceMs, onFault });
  const forget = watchSignals(app.plan);
  try {
    await app.start();
  } catch (error) {
    if (error instanceof SetupError && error.name === "ConfigError") endProgram(mistaken, error.message);
    throw error;
  }
  isUp = true;
  const lines = (workerId() ?? 1) === 1 ? app.describe() : []; // Of all workers the first one says it.
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
  const report = await stopped;
  forget();
  await app.stopped();
  return report;
}

/** SIGHUP is heard by what watches the configuration. Without one both signals do what they always do. */
function watchSignals(plan: AppPlan | undefined): () => void {
  if (plan === undefined) return () => {};
  const toggle = (): void => plan.toggleDebug();
  process.on("SIGUSR2", toggle);
  return () => void process.off("SIGUSR2", toggle);
}
