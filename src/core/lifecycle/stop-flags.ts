import { durationFlag } from "../config/flag-kinds.ts";

/** Flags of programs that stop gracefully; `drainDelay` is in milliseconds. */
export const stopFlags = {
  drainDelay: durationFlag(
    0,
    "Keep serving for this long after a stop signal, while health and readiness checks fail",
  ),
} as const;
