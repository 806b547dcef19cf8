import {
  context as otelContext,
  type Context,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace as otelTrace,
  TraceFlags,
  type Tracer,
} from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { SamplingDecision, type Sampler, TracerProvider } from "@opentelemetry/sdk-trace";
import { type AttemptTrace, type ClientTracer, clientTracing } from "../../call/client-trace.ts";
import type { CallContext } from "../../call/context.ts";
import { messageTracing } from "../../call/message-trace.ts";
import type { CallArrival } from "../../call/observer.ts";
import { rpcName } from "../../call/service.ts";
import { codeName } from "../../errors/code-name.ts";
import {
  baggageHeader,
  filterBaggage,
  parseTraceparent,
  parseTracestate,
  traceparentHeader,
  tracestateHeader,
} from "../../metadata/trace-context.ts";
import { Redactor } from "../redact.ts";
import { Sampling } from "./sampling.ts";
import {
  type CallEnd,
  isServerError,
  putAddress,
  putServerAttributes,
  serverSpanName,
} from "./span-attributes.ts";
import { CallSpan } from "./call-span.ts";
import { MessageSpans } from "./message-spans.ts";
import { MadeSpans, timeOrigin } from "./made-spans.ts";
import { RefusedSpans } from "./refused-spans.ts";
import { PassedState, remoteContext } from "./remote-context.ts";
import { isOfShare, newSpanId, newTraceId } from "./span-ids.ts";
import { SpanQueue } from "./span-queue.ts";
import { spanSender } from "./span-sender.ts";
import { Attempt, callKey, type CallInit, SampledCall, UnsampledCall } from "./traced-call.ts";
import type { TracingOptions, TracingRules } from "./tracing-options.ts";

const scope = "ts-ms";
/** A request to the collector may take so long, in milliseconds. */
const exportTimeoutMs = 5_000;
/** The traces of a process, by the SDK of OpenTelemetry. There is one at a time: its context is the process's. */
export class Traces implements ClientTracer {
  readonly sampling: Sampling;
  readonly #provider: TracerProvider;
  readonly #queue: SpanQueue;
  readonly #spans: MadeSpans;
  /** Spans of requests that were refused before there was a call. */
  readonly refused: RefusedSpans;
  readonly #tracer: Tracer;
  readonly #baggage: ReadonlySet<string>;
  readonly #redactor: Redactor;
  readonly #flushTimeoutMs: number;
  /** The ids of the next span, which is sampled; undefined for any span, of which the sampler decides. */
  #next: SpanContext | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: TracingOptions) {
    const { endpoint, headers, service, resource, baggageKeys, redact, queue, flushTimeoutMs } = options;
    this.sampling = new Sampling(options);
    this.#baggage = new Set(baggageKeys);
    this.#redactor = redact instanceof Redactor ? redact : new Redactor(redact);
    this.#flushTimeoutMs = flushTimeoutMs;
    const url = `${endpoint.replace(/\/+$/, "")}/v1/traces`;
    const ofProcess = {
      "service.name": service,
      "process.pid": process.pid,
      "telemetry.sdk.language": "nodejs",
      "telemetry.sdk.name": "opentelemetry",
      ...resource,
    };
    const sender = spanSender({ url, headers, timeoutMillis: exportTimeoutMs, resource: ofProcess, scope });
    this.#queue = new SpanQueue(sender, queue);
    this.#spans = new MadeSpans(this.#queue);
    this.refused = new RefusedSpans({
      sampling: this.sampling,
      spans: this.#spans,
      redactor: this.#redactor,
    });
    this.#provider = new TracerProvider({
      resource: resourceFromAttributes(ofProcess),
      idGenerator: {
        generateTraceId: () => this.#next?.traceId ?? newTraceId(),
        generateSpanId: () => this.#next?.spanId ?? newSpanId(),
      },
      sampler: this.#sampler(),
      spanProcessors: [this.#queue],
    });
    this.#tracer = this.#provider.getTracer(scope);
    otelContext.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    otelTrace.setGlobalTracerProvider(this.#provider);
    clientTracing.tracer = this;
    messageTracing.tracer = new MessageSpans(this.#tracer);
  }

  update(rules: Partial<TracingRules>): void {
    this.sampling.update(rules);
  }

  /** A call has come to a server of this process. */
  arrived(context: CallContext, arrival: CallArrival): void {
    const { parent, sampled } = this.sampling.decide(arrival);
    const { ratio } = this.sampling;
    const { headers } = arrival.head;
    const state = parent && textOf(headers[tracestateHeader]);
    const tracestate = state === undefined ? undefined : parseTracestate(state);
    const baggage = filterBaggage(textOf(headers[baggageHeader]), this.#baggage);
    const init = { parent, ratio, tracestate, baggage };
    context.trace = sampled ? this.#sampledCall(context, init) : new UnsampledCall(init);
  }

  /** A call of a server of this process has ended. */
  ended(context: CallContext, arrival: CallArrival, end: CallEnd): void {
    const { trace } = context;
    if (!(trace instanceof SampledCall)) return;
    const { span, parent } = trace;
    const isError = isServerError(end.code, end.status);
    const name = serverSpanName(context, end);
    const made = span instanceof CallSpan ? span.made : span;
    if (made === undefined) {
      const startMs = timeOrigin + context.startedAt;
      const parentSpanId = parent?.spanId;
      const spans = this.#spans.begin({ ids: span.spanContext(), parentSpanId, name, kind: 2, startMs });
      if (spans !== undefined) {
        putServerAttributes(context, arrival, end, this.#redactor, spans);
        this.#spans.end(spans, isError, parent?.isRemote === true);
      }
    } else {
      putServerAttributes(context, arrival, end, this.#redactor, {
        put: (key, value) => made.setAttribute(key, value),
      });
      made.updateName(name);
      if (isError) made.setStatus({ code: SpanStatusCode.ERROR });
      made.end();
    }
    if (span instanceof CallSpan) span.close();
  }

  begin(context: CallContext, authority: string, previousAttempts: number): AttemptTrace {
    const { trace } = context;
    const within =
      trace instanceof SampledCall ? trace.within : trace === undefined ? this.#parentOf(context) : trace;
    if (within instanceof UnsampledCall) return within;
    const parent = otelTrace.getSpanContext(within as Context); // A trace of a server is one of the two kinds.
    const traceId = parent?.traceId ?? newTraceId();
    const sampled = this.#samples(within as Context, traceId);
    const traceFlags = sampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
    const { traceState } = parent ?? {};
    const ids: SpanContext = { traceId, spanId: newSpanId(), traceFlags, ...(traceState && { traceState }) };
    const startMs = timeOrigin + performance.now();
    return new Attempt(ids, this.#baggageOf(context), (error) => {
      if (!sampled) return;
      const name = rpcName(context.method);
      const spans = this.#spans.begin({ ids, parentSpanId: parent?.spanId, name, kind: 3, startMs });
      if (spans === undefined) return;
      const code = codeName(error?.code ?? 0);
      spans.put("rpc.system.name", "grpc");
      spans.put("rpc.method", name);
      putAddress(authority, false, spans);
      if (previousAttempts > 0) spans.put("previous-rpc-attempts", previousAttempts);
      spans.put("rpc.response.status_code", code);
      if (error !== undefined) spans.put("error.type", code);
      this.#spans.end(spans, error !== undefined, parent?.isRemote === true);
    });
  }

  /** Sends what waits, for as long as a stop may take, and ends. Idempotent. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop());
  }

  async #stop(): Promise<void> {
    if (clientTracing.tracer === this) {
      clientTracing.tracer = undefined;
      messageTracing.tracer = undefined;
      otelTrace.disable();
      otelContext.disable();
    }
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#flushTimeoutMs);
    });
    await Promise.race([this.#queue.forceFlush(), late]);
    clearTimeout(timer);
    await this.#queue.shutdown();
  }

  /** Sends what waits. */
  flush(): Promise<void> {
    return this.#queue.forceFlush();
  }

  #sampledCall({ method, startedAt }: CallContext, init: CallInit): SampledCall {
    const { parent, ratio, tracestate } = init;
    const ids: SpanContext = {
      traceId: parent?.traceId ?? newTraceId(0, ratio),
      spanId: newSpanId(),
      traceFlags: TraceFlags.SAMPLED,
      ...(tracestate !== undefined && { traceState: new PassedState(tracestate) }),
    };
    const span = new CallSpan(ids, () => {
      const remote = parent === undefined ? ROOT_CONTEXT : remoteContext(parent, tracestate);
      this.#next = ids;
      const startTime = timeOrigin + startedAt;
      const made = this.#tracer.startSpan(rpcName(method), { kind: SpanKind.SERVER, startTime }, remote);
      this.#next = undefined;
      return made;
    });
    return new SampledCall(span, init);
  }

  /** The span around code that makes a call of its own, or what its headers say. */
  #parentOf(context: CallContext): Context | UnsampledCall {
    const active = otelContext.active();
    const around = active.getValue(callKey);
    const sent = context.requestHeader.get(traceparentHeader);
    const header = sent === null ? undefined : parseTraceparent(sent);
    const span = otelTrace.getSpanContext(active);
    const current = span?.traceId ?? (around instanceof UnsampledCall ? around.traceId : undefined);
    if (header !== undefined && header.traceId !== current) {
      return remoteContext(header, parseTracestate(context.requestHeader.get(tracestateHeader)));
    }
    return span === undefined && around instanceof UnsampledCall ? around : active;
  }

  #baggageOf(context: CallContext): string | undefined {
    const { trace } = context;
    if (trace !== undefined) return trace.baggage;
    const sent = context.requestHeader.get(baggageHeader);
    if (sent !== null) return filterBaggage(sent, this.#baggage);
    const around = otelContext.active().getValue(callKey);
    return around instanceof SampledCall || around instanceof UnsampledCall ? around.baggage : undefined;
  }

  /** Spans of this library are decided on before; those of the application follow their parent, or the ratio. */
  #sampler(): Sampler {
    return {
      shouldSample: (within, traceId) => {
        const sampled = this.#next !== undefined || this.#samples(within, traceId);
        return { decision: sampled ? SamplingDecision.RECORD_AND_SAMPLED : SamplingDecision.NOT_RECORD };
      },
      toString: () => "ts-ms",
    };
  }

  #samples(within: Context, traceId: string): boolean {
    const parent = otelTrace.getSpanContext(within);
    if (parent !== undefined) return (parent.traceFlags & TraceFlags.SAMPLED) !== 0;
    return !(within.getValue(callKey) instanceof UnsampledCall) && isOfShare(traceId, this.sampling.ratio);
  }
}

function textOf(value: string | readonly string[] | undefined): string | undefined {
  return value === undefined || typeof value === "string" ? value : value.join(",");
}
