import {
  context as otelContext,
  type Context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace as otelTrace,
  TraceFlags,
  type Tracer,
} from "@opentelemetry/api";
import type { AttemptTrace } from "../../call/client-trace.ts";
import type { CallContext } from "../../call/context.ts";
import type { HandledMessages, MessageTracer, SentMessage, TracedMessage } from "../../call/message-trace.ts";
import { codeName } from "../../errors/code-name.ts";
import type { ConnectError } from "../../errors/errors.ts";
import type { TakeHeader } from "../../metadata/header-source.ts";
import {
  formatTraceparent,
  parseTraceparent,
  parseTracestate,
  type TraceParent,
  traceparentHeader,
  tracestateHeader,
} from "../../metadata/trace-context.ts";
import { remoteContext } from "./remote-context.ts";
import { callKey, SampledCall, UnsampledCall } from "./traced-call.ts";

/** Spans of messages, by the semantic conventions 1.45 of OpenTelemetry. */
export class MessageSpans implements MessageTracer {
  readonly #tracer: Tracer;

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  send(message: SentMessage): AttemptTrace {
    const parent = parentOf(message);
    if (parent instanceof UnsampledCall) return parent;
    const span = this.#tracer.startSpan(
      `send ${message.topic}`,
      { kind: SpanKind.PRODUCER, attributes: attributesOf("send", message) },
      parent,
    );
    return new SendSpan(span);
  }

  process(context: CallContext, messages: HandledMessages): (error: ConnectError | undefined) => void {
    const senders = messages.headers.map((headers) => parseTraceparent(headers.get(traceparentHeader)));
    // A run of several messages is part of none of their traces.
    const parent = senders.length === 1 ? senders[0] : undefined;
    const tracestate = parseTracestate(parent && messages.headers[0]?.get(tracestateHeader));
    const init = { parent, ratio: 0, tracestate, baggage: undefined };
    const span = this.#tracer.startSpan(
      `process ${messages.topic}`,
      {
        kind: SpanKind.CONSUMER,
        attributes: {
          ...attributesOf("process", messages),
          "messaging.consumer.group.name": messages.group,
          ...(messages.partition === undefined
            ? {}
            : { "messaging.destination.partition.id": String(messages.partition) }),
          ...(senders.length > 1 ? { "messaging.batch.message_count": senders.length } : {}),
        },
        links: senders.flatMap(linkTo),
      },
      parent === undefined ? ROOT_CONTEXT : remoteContext(parent, tracestate),
    );
    context.trace = span.isRecording() ? new SampledCall(span, init) : new UnsampledCall(init);
    return (error) => endSpan(span, error);
  }
}

/** A message on its way. */
class SendSpan implements AttemptTrace {
  readonly #span: Span;

  constructor(span: Span) {
    this.#span = span;
  }

  eachHeader(take: TakeHeader): void {
    const { traceId, spanId, traceFlags, traceState } = this.#span.spanContext();
    take(traceparentHeader, formatTraceparent({ traceId, spanId, sampled: isSampled(traceFlags) }));
    const state = traceState?.serialize();
    if (state !== undefined && state !== "") take(tracestateHeader, state);
  }

  end(error: ConnectError | undefined): void {
    endSpan(this.#span, error);
  }
}

function endSpan(span: Span, error: ConnectError | undefined): void {
  if (error !== undefined) {
    span.setAttribute("error.type", codeName(error.code));
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end();
}

function attributesOf(operation: "send" | "process", { system, topic, id }: TracedMessage) {
  return {
    "messaging.system": system,
    "messaging.destination.name": topic,
    "messaging.message.id": id,
    "messaging.operation.name": operation,
    "messaging.operation.type": operation,
  };
}

/** What a message is sent by: the call that it is part of, what its headers say, or the code around it. */
function parentOf({ context, header }: SentMessage): Context | UnsampledCall {
  const trace = context !== undefined && "trace" in context ? context.trace : undefined;
  if (trace instanceof SampledCall) return trace.within;
  if (trace instanceof UnsampledCall) return trace;
  const active = otelContext.active();
  const around = active.getValue(callKey);
  const current = otelTrace.getSpanContext(active);
  const sent = parseTraceparent(header(traceparentHeader));
  const known = current?.traceId ?? (around instanceof UnsampledCall ? around.traceId : undefined);
  if (sent !== undefined && sent.traceId !== known) {
    return remoteContext(sent, parseTracestate(header(tracestateHeader)));
  }
  return current === undefined && around instanceof UnsampledCall ? around : active;
}

function linkTo(sender: TraceParent | undefined): Link[] {
  if (sender === undefined) return [];
  const { traceId, spanId, sampled } = sender;
  const traceFlags = sampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
  const context: SpanContext = { traceId, spanId, traceFlags, isRemote: true };
  return [{ context }];
}

function isSampled(flags: TraceFlags): boolean {
  return (flags & TraceFlags.SAMPLED) !== 0;
}
