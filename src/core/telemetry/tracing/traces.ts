import {
  context as otelContext,
  type Context,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace as otelTrace,
  TraceFlags,
  type Tracer,
} from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { SamplingDecision, type Sampler, TracerProvider } from "@opentelemetry/sdk-trace";
import { type AttemptTrace, type ClientTracer, clientTracing } from "../../call/client-trace.ts";
import type { CallContext } from "../../call/context.ts";
import { messageTracing } from "../../call/message-trace.ts";
import type { CallArrival } from "../../call/observer.ts";
import { rpcName } from "../../call/service.ts";
import {
  baggageHeader,
  filterBaggage,
  parseTraceparent,
  parseTracestate,
  traceparentHeader,
  tracestateHeader,
} from "../../metadata/trace-context.ts";
import { Redactor } from "../redact.ts";
import { sampledByRatio, Sampling } from "./sampling.ts";
import {
  addressOf,
  type CallEnd,
  isServerError,
  serverAttributes,
  serverSpanName,
} from "./span-attributes.ts";
import { MessageSpans } from "./message-spans.ts";
import { remoteContext } from "./remote-context.ts";
import { newSpanId, newTraceId } from "./span-ids.ts";
import { SpanQueue } from "./span-queue.ts";
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
  readonly #tracer: Tracer;
  readonly #baggage: ReadonlySet<string>;
  readonly #redactor = new Redactor();
  readonly #flushTimeoutMs: number;
  /** Spans that servers of this process make are sampled as decided. */
  #decided = false;
  /** The id of the trace that begins with the next span; undefined for any. */
  #nextTraceId: string | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: TracingOptions) {
    const { endpoint, headers, service, resource, baggageKeys, queue, flushTimeoutMs } = options;
    this.sampling = new Sampling(options);
    this.#baggage = new Set(baggageKeys);
    this.#flushTimeoutMs = flushTimeoutMs;
    const url = `${endpoint.replace(/\/+$/, "")}/v1/traces`;
    const exporter = new OTLPTraceExporter({ url, headers: { ...headers }, timeoutMillis: exportTimeoutMs });
    this.#queue = new SpanQueue(exporter, queue);
    this.#provider = new TracerProvider({
      resource: resourceFromAttributes({
        "service.name": service,
        "process.pid": process.pid,
        "telemetry.sdk.language": "nodejs",
        "telemetry.sdk.name": "opentelemetry",
        ...resource,
      }),
      idGenerator: {
        generateTraceId: () => this.#nextTraceId ?? newTraceId(),
        generateSpanId: newSpanId,
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
    const { parent, sampled, traceId } = this.sampling.decide(arrival, newTraceId);
    const { headers } = arrival.head;
    const state = parent && textOf(headers[tracestateHeader]);
    const tracestate = state === undefined ? undefined : parseTracestate(state);
    const baggage = filterBaggage(textOf(headers[baggageHeader]), this.#baggage);
    const init = { parent, traceId, tracestate, baggage };
    context.trace = sampled ? this.#sampledCall(context, init) : new UnsampledCall(init);
  }

  /** A call of a server of this process has ended. */
  ended(context: CallContext, arrival: CallArrival, end: CallEnd): void {
    const { trace } = context;
    if (!(trace instanceof SampledCall)) return;
    const { span } = trace;
    span.updateName(serverSpanName(context, end));
    span.setAttributes(serverAttributes(context, arrival, end, this.#redactor));
    if (isServerError(end.code, end.status)) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end();
  }

  begin(context: CallContext, authority: string, previousAttempts: number): AttemptTrace {
    const { trace } = context;
    const parent =
      trace instanceof SampledCall ? trace.within : trace === undefined ? this.#parentOf(context) : trace;
    if (parent instanceof UnsampledCall) return parent;
    const span = this.#tracer.startSpan(
      rpcName(context.method),
      {
        kind: SpanKind.CLIENT,
        attributes: {
          "rpc.system.name": "grpc",
          "rpc.method": rpcName(context.method),
          ...addressOf(authority, false),
          ...(previousAttempts > 0 && { "previous-rpc-attempts": previousAttempts }),
        },
      },
      parent as Context, // A trace of a server is one of the two kinds.
    );
    return new Attempt(span, this.#baggageOf(context));
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
    const { parent, tracestate, traceId } = init;
    const remote = parent === undefined ? ROOT_CONTEXT : remoteContext(parent, tracestate);
    this.#nextTraceId = traceId;
    this.#decided = true;
    const startTime = performance.timeOrigin + startedAt;
    const span = this.#tracer.startSpan(rpcName(method), { kind: SpanKind.SERVER, startTime }, remote);
    this.#decided = false;
    this.#nextTraceId = undefined;
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
        const parent = otelTrace.getSpanContext(within);
        const unsampled = within.getValue(callKey) instanceof UnsampledCall;
        const sampled =
          this.#decided ||
          (parent === undefined
            ? !unsampled && sampledByRatio(traceId, this.sampling.ratio)
            : (parent.traceFlags & TraceFlags.SAMPLED) !== 0);
        return { decision: sampled ? SamplingDecision.RECORD_AND_SAMPLED : SamplingDecision.NOT_RECORD };
      },
      toString: () => "ts-ms",
    };
  }
}

function textOf(value: string | readonly string[] | undefined): string | undefined {
  return value === undefined || typeof value === "string" ? value : value.join(",");
}
