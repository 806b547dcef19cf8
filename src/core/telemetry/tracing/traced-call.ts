import {
  context as otelContext,
  type Context,
  createContextKey,
  INVALID_SPAN_CONTEXT,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  trace as otelTrace,
  TraceFlags,
} from "@opentelemetry/api";
import { ScopedIterator } from "../../ambient/scoped-iterator.ts";
import type { AttemptTrace } from "../../call/client-trace.ts";
import type { CallTrace } from "../../call/call-trace.ts";
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
  /** The share of traces that are sampled: a trace that begins has an id accordingly. */
  readonly ratio: number;
  readonly tracestate: string | undefined;
  readonly baggage: string | undefined;
}

/** The key under which a context has its span: the API has no name for it. */
const spanKey = ((): symbol | undefined => {
  let key: symbol | undefined;
  const seeking: Context = {
    getValue: () => undefined,
    setValue(asked) {
      key = asked;
      return seeking;
    },
    deleteValue: () => seeking,
  };
  otelTrace.setSpanContext(seeking, INVALID_SPAN_CONTEXT);
  return key;
})();

/** The context of a call's code, with nothing but the call and its span: most code sets no more, and so makes no map. */
class CallScope implements Context {
  readonly #call: SampledCall | UnsampledCall;
  readonly #span: Span | undefined;

  constructor(call: SampledCall | UnsampledCall, span?: Span) {
    this.#call = call;
    this.#span = span;
  }

  getValue(key: symbol): unknown {
    if (key === callKey) return this.#call;
    return key === spanKey ? this.#span : undefined;
  }

  setValue(key: symbol, value: unknown): Context {
    return this.#open().setValue(key, value);
  }

  deleteValue(key: symbol): Context {
    return this.#open().deleteValue(key);
  }

  #open(): Context {
    const context = ROOT_CONTEXT.setValue(callKey, this.#call);
    return this.#span === undefined ? context : otelTrace.setSpan(context, this.#span);
  }
}

/** A call with a span. */
export class SampledCall implements CallTrace {
  readonly span: Span;
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled = true;
  /** The caller's part of the trace; undefined where the trace begins here. */
  readonly parent: { readonly spanId: string; readonly isRemote: true } | undefined;
  readonly tracestate: string | undefined;
  readonly baggage: string | undefined;
  /** The context of its code. */
  readonly within: Context;

  constructor(span: Span, { parent, tracestate, baggage }: CallInit) {
    this.span = span;
    const { traceId, spanId } = span.spanContext();
    this.traceId = traceId;
    this.spanId = spanId;
    this.parent = parent && { spanId: parent.spanId, isRemote: true };
    this.tracestate = tracestate;
    this.baggage = baggage;
    this.within = new CallScope(this, span);
  }

  run<T>(fn: () => T): T {
    return otelContext.with(this.within, fn);
  }

  iterate<T>(source: AsyncIterable<T>): AsyncIterable<T> {
    return new ScopedIterator(source, (fn) => this.run(fn));
  }
}

/** A call whose trace is not sampled: what it calls is not sampled either, and its ids are made when they are needed. */
export class UnsampledCall implements CallTrace, AttemptTrace {
  readonly sampled = false;
  readonly tracestate: string | undefined;
  readonly baggage: string | undefined;
  readonly #ratio: number;
  #traceId: string | undefined;
  #spanId: string | undefined;
  #within: Context | undefined;

  constructor({ parent, ratio, tracestate, baggage }: CallInit) {
    this.#traceId = parent?.traceId;
    this.#ratio = ratio;
    this.tracestate = tracestate;
    this.baggage = baggage;
  }

  get traceId(): string {
    return (this.#traceId ??= newTraceId(this.#ratio));
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
  readonly #ids: SpanContext;
  readonly #baggage: string | undefined;
  readonly #ended: (error: ConnectError | undefined) => void;

  /** @param ended takes how the attempt ended, if it is sampled */
  constructor(
    ids: SpanContext,
    baggage: string | undefined,
    ended: (error: ConnectError | undefined) => void,
  ) {
    this.#ids = ids;
    this.#baggage = baggage;
    this.#ended = ended;
  }

  eachHeader(take: TakeHeader): void {
    const { traceId, spanId, traceFlags, traceState } = this.#ids;
    const sampled = (traceFlags & TraceFlags.SAMPLED) !== 0;
    eachTraceHeader(
      { traceId, spanId, sampled, tracestate: traceState?.serialize(), baggage: this.#baggage },
      take,
    );
  }

  end(error: ConnectError | undefined): void {
    this.#ended(error);
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
