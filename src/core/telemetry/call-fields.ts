import type { HandlerContext } from "@connectrpc/connect";
import { traceOf } from "../call/call-trace.ts";
import { CallContext } from "../call/context.ts";
import { rpcName } from "../call/service.ts";
import { requestId } from "../metadata/request-id.ts";
import { principal } from "../security/principal.ts";

/** Who makes a call, by the id of the principal; undefined for an anonymous client. Makes no values where there are none. */
export function principalIdOf(context: HandlerContext): string | undefined {
  const values = context instanceof CallContext ? context.valuesIfAny : context.values;
  return values && principal({ values })?.id;
}

/** The ids of the trace that a call is part of, as log lines have them; none without a trace. */
export function traceFields(context: HandlerContext): Record<string, string> {
  const trace = traceOf(context);
  if (trace === undefined) return {};
  return { trace_id: trace.traceId, span_id: trace.spanId, trace_flags: trace.sampled ? "01" : "00" };
}

/** What lines of a call say of it. */
export function callFields(context: HandlerContext): Record<string, unknown> {
  return {
    ...traceFields(context),
    request_id: requestId(context),
    rpc: rpcName(context.method),
    door: context.protocolName,
    principal: principalIdOf(context),
  };
}
