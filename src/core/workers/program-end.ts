import type { StopSignal } from "../lifecycle/signals.ts";
import type { EndedWorker } from "./worker-pool.ts";

/** The end of a program whose workers have stopped: the worst code of theirs, and what they have said together. */
export function programEnd(
  signal: StopSignal,
  ends: readonly EndedWorker[],
): { readonly code: number; readonly text: string } {
  const codes = ends.map(({ worker, end }) => {
    if (end.code !== null) return end.code;
    return end.signal === signal && worker.readySinceMs === undefined ? 0 : 1; // It was starting: nothing was cut.
  });
  const reports = ends.flatMap(({ worker }) => worker.report ?? []);
  const finished = reports.reduce((sum, report) => sum + report.finished, 0);
  const notified = reports.reduce((sum, report) => sum + report.notified.length, 0);
  const cut = reports.reduce((sum, report) => sum + report.cut.length, 0);
  return {
    code: Math.max(0, ...codes),
    text: `Stopped by ${signal}: ${finished} calls finished, ${notified} notified, ${cut} cut`,
  };
}
