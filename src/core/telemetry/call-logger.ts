import type { HandlerContext } from "@connectrpc/connect";
import { callFields } from "./call-fields.ts";
import { createLogger, type Logger } from "./logger.ts";
import { loggerOfProgram, useLogger } from "./program-logger.ts";

/**
 * The program's logger for lines of one call: each has the `request_id`, the `rpc`, the `door`, the `principal` if there is
 * one, and `trace_id`, `span_id` and `trace_flags` of its trace. The program's logger is that of the last `callLog`;
 * without one a logger is made, which writes JSON to standard error.
 */
export function callLogger(context: HandlerContext): Logger {
  const logger = loggerOfProgram() ?? createLogger();
  useLogger(logger);
  return logger.child(callFields(context));
}
