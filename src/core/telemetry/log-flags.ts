import { choiceFlag, textFlag } from "../config/flag-kinds.ts";
import { logFormats, logLevels } from "./logger.ts";

/** Flags of the log. */
export const logFlags = {
  logLevel: {
    ...choiceFlag(logLevels, "info", `Least severe level that is logged: ${logLevels.join(", ")}`),
    value: "LEVEL",
  },
  logFormat: choiceFlag(logFormats, "json", "Format of the log: json, or text for people"),
  accessLog: textFlag(
    "FILE",
    "off",
    "Writes a line of JSON for each request and call to this file; stderr, stdout or off",
  ),
} as const;
