import type { Config } from "../core/config/loader/config-types.ts";
import { workerId } from "../core/lifecycle/worker-process.ts";
import { inWorkers } from "../core/workers/in-workers.ts";
import { readCount, workerBalances, type WorkerOptions } from "../core/workers/worker-options.ts";
import type { WorkersConfig } from "../../gen/ts_ms/config/v1/workers_pb.ts";
import { createTelemetry } from "./sections/telemetry-section.ts";

/**
 * Runs a program in the workers that its configuration asks for, see `inWorkers`.
 *
 * @throws SetupError for a balance that this system does not have
 */
export async function joinWorkers(config: Config): Promise<void> {
  const { app, workers } = config;
  await inWorkers({
    ...(workers === undefined ? {} : optionsOf(workers)),
    graceMs: app.grace,
    drainDelayMs: app.drainDelay,
    // A worker makes its own with its other parts.
    ...(workerId() === undefined && { logger: createTelemetry(config).logger }),
  });
}

function optionsOf({
  count,
  balance,
  startTimeout,
  restart,
  maxMemory,
}: WorkersConfig): Partial<WorkerOptions> {
  return {
    count: readCount(count),
    balance: workerBalances.find((known) => known === balance) ?? "connections",
    startTimeoutMs: startTimeout,
    ...(restart !== undefined && { restart: { initialMs: restart.initial, maxMs: restart.max } }),
    maxMemoryBytes: maxMemory ?? 0,
  };
}
