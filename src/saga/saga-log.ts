import { loggerOfProgram } from "../core/telemetry/program-logger.ts";

/** Says something that operators must see: by the program's logger, else as a warning of the process. */
export function warn(text: string, fields: Readonly<Record<string, string>>): void {
  const logger = loggerOfProgram();
  if (logger === undefined) process.emitWarning(`SAGA: ${text}`);
  else logger.warn(fields, text);
}
