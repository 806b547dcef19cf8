import type { Config } from "../../core/config/loader/config-types.ts";
import { Overload } from "../../core/overload/overload.ts";
import type { OverloadOptions } from "../../core/overload/overload-options.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** Overload control. */
export function open({ config }: SectionKit): SectionParts {
  const overload = new Overload(optionsOf(config));
  return {
    gates: { overload: [overload.gate] },
    start: () => void overload.start(),
    stop: () => overload.stop(),
    prepare({ next }) {
      const options = optionsOf(next);
      return () => overload.replace(options);
    },
  };
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
