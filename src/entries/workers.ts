/** `ts-ms/workers`: a program in several processes, with one port for all. */
export { inWorkers } from "../core/workers/in-workers.ts";
export { workerId } from "../core/lifecycle/worker-process.ts";
export { workerChannel, type PostListener, type WorkerChannel } from "../core/workers/worker-channel.ts";
export type {
  PrimaryLog,
  RestartPauses,
  WorkerBalance,
  WorkerOptions,
} from "../core/workers/worker-options.ts";
