import type { Config } from "../../core/config/loader/config-types.ts";
import { Overload, type OverloadState } from "../../core/overload/overload.ts";
import type { OverloadOptions } from "../../core/overload/overload-options.ts";
import type { Metrics } from "../../core/telemetry/metrics.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** The values of the metric `ts_ms_overload_state`. */
const stateNumbers: Readonly<Record<OverloadState["state"], number>> = { normal: 0, shedding: 1, memory: 2 };

/** Overload control. */
export function open({ config, metrics }: SectionKit): SectionParts {
  const overload = new Overload(optionsOf(config));
  let unwatch: readonly (() => void)[] = [];
  return {
    gates: { overload: [overload.gate] },
    start() {
      overload.start();
      unwatch = watch(metrics, overload);
    },
    stop() {
      overload.stop();
      for (const end of unwatch) end();
    },
    prepare({ next }) {
      const options = optionsOf(next);
      return () => overload.replace(options);
    },
  };
}

function watch(metrics: Metrics, overload: Overload): readonly (() => void)[] {
  const one = (read: () => number) => () => [{ labels: {}, value: read() }];
  return [
    metrics.watch(
      "overloadLimit",
      one(() => overload.state.limit),
    ),
    metrics.watch(
      "overloadInFlight",
      one(() => overload.state.inFlight),
    ),
    metrics.watch(
      "overloadState",
      one(() => stateNumbers[overload.state.state]),
    ),
    metrics.watch("shed", () =>
      overload.shed.map(({ reason, criticality, calls: value }) => ({
        labels: { reason, criticality },
        value,
      })),
    ),
  ];
}

function optionsOf({ overload }: Config): Partial<OverloadOptions> {
  if (overload === undefined) return {};
  const { targetLag, maxConcurrent, queue, queueWait, maxMemory } = overload;
  return {
    targetLagMs: targetLag,
    maxConcurrent: maxConcurrent === "adaptive" ? "adaptive" : Number(maxConcurrent),
    queue,
    queueWaitMs: queueWait,
    maxMemory,
  };
}
