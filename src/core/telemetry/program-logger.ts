import type { Logger } from "pino";

let programLogger: Logger | undefined;

/** The logger of the program: the one that `callLog` was given last; undefined before. */
export function loggerOfProgram(): Logger | undefined {
  return programLogger;
}

/** From now on this is the logger of the program. */
export function useLogger(logger: Logger): void {
  programLogger = logger;
}
