import { choiceFlag } from "../config/flag-kinds.ts";
import { logLevels } from "./logger.ts";

/** Flags of the log. */
export const logFlags = {
  logLevel: {
    ...choiceFlag(logLevels, "info", `Least severe level that is logged: ${logLevels.join(", ")}`),
    value: "LEVEL",
  },
} as const;
