import {
  context as otelContext,
  type Context,
  createContextKey,
  ROOT_CONTEXT,
  type Span,
  SpanStatusCode,
  trace as otelTrace,
  TraceFlags,
} from "@opentelemetry/api";
import { ScopedIterator } from "../../ambient/scoped-iterator.ts";
import type { AttemptTrace } from "../../call/client-trace.ts";
import type { CallTrace } from "../../call/call-trace.ts";
import { codeName } from "../../errors/code-name.ts";
import type { ConnectError } from "../../errors/errors.ts";
import type { TakeHeader } from "../../metadata/header-source.ts";
import {
  baggageHeader,
  formatTraceparent,
  type TraceParent,
  traceparentHeader,
  tracestateHeader,
} from "../../metadata/trace-context.ts";
import { newSpanId, newTraceId } from "./span-ids.ts";

/** Under it a context of OpenTelemetry holds the call that its code is part of. */
export const callKey = createContextKey("call of ts-ms");

/** What is known of a call before it has a span. */
export interface CallInit {
  readonly parent: TraceParent | undefined;
  /** The id of a trace that begins; undefined for one to be made when it is needed. */
  readonly traceId: string | undefined;
  readonly tracestate: string | undefined;
  readonly baggage: string | undefined;
}

/** A call with a span. */
export class SampledCall implements CallTrace {
  readonly span: Span;
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled = true;
  readonly tracestate: string | undefined;
  readonly baggage: string | undefined;
  /** The context of its code. */
  readonly within: Context;

  constructor(span: Span, { tracestate, baggage }: CallInit) {
    this.span = span;
    const { traceId, spanId } = span.spanContext();
    this.traceId = traceId;
    this.spanId = spanId;
    this.tracestate = tracestate;
    this.baggage = baggage;
    this.within = otelTrace.setSpan(ROOT_CONTEXT.setValue(callKey, this), span);
  }

  run<T>(fn: () => T): T {
    return otelContext.with(this.within, fn);
  }

  iterate<T>(source: AsyncIterable<T>): AsyncIterable<T> {
    return new ScopedIterator(source, (fn) => this.run(fn));
  }
}

/** The context of a call's code, with the call alone: most calls set nothing else, and so make no map. */
class CallScope implements Context {
  readonly #call: UnsampledCall;

  constructor(call: UnsampledCall) {
    this.#call = call;
  }

  getValue(key: symbol): unknown {
    return key === callKey ? this.#call : undefined;
  }

  setValue(key: symbol, value: unknown): Context {
    return ROOT_CONTEXT.setValue(callKey, this.#call).setValue(key, value);
  }

  deleteValue(key: symbol): Context {
    return key === callKey ? ROOT_CONTEXT : this;
  }
}

/** A call whose trace is not sampled: what it calls is not sampled either, and its ids are made when they are needed. */
export class UnsampledCall implements CallTrace, AttemptTrace {
  readonly sampled = false;
  readonly tracestate: string | undefined;
  readonly baggage: string | undefined;
  #traceId: string | undefined;
  #spanId: string | undefined;
  #within: Context | undefined;

  constructor({ parent, traceId, tracestate, baggage }: CallInit) {
    this.#traceId = parent?.traceId ?? traceId;
    this.tracestate = tracestate;
    this.baggage = baggage;
  }

  get traceId(): string {
    return (this.#traceId ??= newTraceId());
  }

  get spanId(): string {
    return (this.#spanId ??= newSpanId());
  }

  run<T>(fn: () => T): T {
    return otelContext.with((this.#within ??= new CallScope(this)), fn);
  }

  iterate<T>(source: AsyncIterable<T>): AsyncIterable<T> {
    return new ScopedIterator(source, (fn) => this.run(fn));
  }

  eachHeader(take: TakeHeader): void {
    eachTraceHeader(this, take);
  }

  end(): void {}
}

/** An attempt of a call to another server. */
export class Attempt implements AttemptTrace {
  readonly #span: Span;
  readonly #baggage: string | undefined;

  constructor(span: Span, baggage: string | undefined) {
    this.#span = span;
    this.#baggage = baggage;
  }

  eachHeader(take: TakeHeader): void {
    const { traceId, spanId, traceFlags, traceState } = this.#span.spanContext();
    const sampled = (traceFlags & TraceFlags.SAMPLED) !== 0;
    eachTraceHeader(
      { traceId, spanId, sampled, tracestate: traceState?.serialize(), baggage: this.#baggage },
      take,
    );
  }

  end(error: ConnectError | undefined): void {
    if (!this.#span.isRecording()) return;
    const code = codeName(error?.code ?? 0);
    this.#span.setAttribute("rpc.response.status_code", code);
    if (error !== undefined) {
      this.#span.setAttribute("error.type", code);
      this.#span.setStatus({ code: SpanStatusCode.ERROR });
    }
    this.#span.end();
  }
}

function eachTraceHeader(
  parts: Pick<CallTrace, "traceId" | "spanId" | "sampled" | "tracestate" | "baggage">,
  take: TakeHeader,
): void {
  take(traceparentHeader, formatTraceparent(parts));
  if (parts.tracestate !== undefined && parts.tracestate !== "") take(tracestateHeader, parts.tracestate);
  if (parts.baggage !== undefined) take(baggageHeader, parts.baggage);
}
