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

/**
 * Says what operators must see, of a part of the program that has no logger of its own: by the logger of the program, else
 * as a warning of the process.
 *
 * @param owner the part, such as `OUTBOX`, for the warning
 */
export function tellOperators(
  owner: string,
  level: "warn" | "error",
  text: string,
  fields: Readonly<Record<string, string>> = {},
): void {
  const logger = loggerOfProgram();
  if (logger !== undefined) return logger[level](fields, text);
  const unsaid = Object.values(fields).filter((value) => !text.includes(value));
  process.emitWarning([`${owner}: ${text}`, ...unsaid].join(" "));
}
