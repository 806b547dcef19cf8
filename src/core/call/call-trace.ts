import type { HandlerContext } from "@connectrpc/connect";
import { parseTraceparent, traceparentHeader, type TraceParent } from "../metadata/trace-context.ts";

/** The part of a trace that is a call of this server: its span, or only the ids where the trace is not sampled. */
export interface CallTrace extends TraceParent {
  /** `tracestate` of what the call calls; undefined for none. */
  readonly tracestate: string | undefined;
  /** `baggage` of what the call calls; undefined for none. */
  readonly baggage: string | undefined;
  /** Runs `fn`, and what it awaits, inside of the span. */
  run<T>(fn: () => T): T;
  /** `source`, each step of which runs inside of the span. */
  iterate<T>(source: AsyncIterable<T>): AsyncIterable<T>;
}

/** What contexts of this library's calls have beside those of other libraries. */
interface OwnContext {
  readonly trace: TraceParent | undefined;
  requestField(name: string): string | undefined;
}

/** The trace that a call is part of: that of its server, or where that makes none, of its client; undefined for none. */
export function traceOf(context: HandlerContext | (HandlerContext & OwnContext)): TraceParent | undefined {
  if (!("requestField" in context)) return parseTraceparent(context.requestHeader.get(traceparentHeader));
  return context.trace ?? parseTraceparent(context.requestField(traceparentHeader));
}
