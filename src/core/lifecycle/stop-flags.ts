import { durationFlag } from "../config/flag-kinds.ts";

/** Flags of programs that stop gracefully; `drainDelay` is in milliseconds. */
export const stopFlags = {
  drainDelay: durationFlag(
    0,
    "Go on serving for this long after a stop signal, with health and readiness off",
  ),
} as const;
