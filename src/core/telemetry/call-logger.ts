import type { HandlerContext } from "@connectrpc/connect";
import { requestId } from "../metadata/request-id.ts";
import { traceOf } from "../call/call-trace.ts";
import { CallContext } from "../call/context.ts";
import { rpcName } from "../call/service.ts";
import { principal } from "../security/principal.ts";
import { createLogger, type Logger } from "./logger.ts";

let programLogger: Logger | undefined;

/** From now on lines of `callLogger` go to this logger. */
export function useLogger(logger: Logger): void {
  programLogger = logger;
}

/**
 * The program's logger for lines of one call: each has the `request_id`, the `rpc`, the `principal` if there is one, and
 * `trace_id`, `span_id` and `trace_flags` while traces are on. The program's logger is that of the last `callLog`;
 * without one a logger is made, which writes JSON to standard error.
 */
export function callLogger(context: HandlerContext): Logger {
  programLogger ??= createLogger();
  return programLogger.child(callFields(context));
}

/** What lines of a call say of it. */
export function callFields(context: HandlerContext): Record<string, unknown> {
  const trace = traceOf(context);
  const values = context instanceof CallContext ? context.valuesIfAny : context.values;
  return {
    ...(trace !== undefined && {
      trace_id: trace.traceId,
      span_id: trace.spanId,
      trace_flags: trace.sampled ? "01" : "00",
    }),
    request_id: requestId(context),
    rpc: rpcName(context.method),
    principal: values && principal({ values })?.id,
  };
}
