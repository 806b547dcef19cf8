import { SetupError } from "../errors/setup-error.ts";
import { workerId } from "../lifecycle/worker-process.ts";
import { stopControl } from "../lifecycle/signals.ts";
import { mergedWorkerOptions, type WorkerOptions } from "./worker-options.ts";

/**
 * Serves in several processes, which have one port for all. Call it before servers are made and signals are caught.
 *
 * The process that was started becomes the primary: it starts workers, which are the same program, gives them what
 * connects to their ports, replaces those that die, and all of them, one after the other, at SIGHUP. There the promise
 * never resolves: the process exits when the last worker has stopped. In a worker, and with one process, it resolves at
 * once and the program goes on.
 *
 * @throws SetupError naming the option that cannot be used
 */
export async function inWorkers(options: Partial<WorkerOptions> = {}): Promise<void> {
  const merged = mergedWorkerOptions(options);
  if (workerId() !== undefined) {
    const { startWorker } = await import("./worker.ts");
    startWorker();
    return;
  }
  if (merged.count === 1) return;
  if (stopControl() !== undefined) {
    throw new SetupError(
      "inWorkers must be called before catchStopSignals: the primary has signals of its own",
    );
  }
  const { runPrimary } = await import("./primary.ts");
  await runPrimary(merged);
}
