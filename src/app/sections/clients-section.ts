import { useProgramDefaults } from "../../core/targets/program-defaults.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** Longest pause between attempts, in milliseconds, unless the first one is longer. */
const maxBackoffMs = 1_000;

/** The defaults of every `dial` of the program, from now until it stops. */
export function open({ config, isSet }: SectionKit): SectionParts {
  const { retryAttempts, retryDelay, timeout } = config.clients;
  const defaults = {
    timeoutMs: timeout,
    retry: {
      maxAttempts: retryAttempts + 1,
      initialBackoffMs: retryDelay,
      maxBackoffMs: Math.max(retryDelay, maxBackoffMs),
    },
    retriesOneServer: isSet("clients.retry_attempts") || isSet("clients.retry_delay"),
    zone: config.app.zone,
    name: config.app.name,
  };
  useProgramDefaults(defaults);
  return {
    start: () => useProgramDefaults(defaults),
    stop: () => useProgramDefaults(undefined),
  };
}
