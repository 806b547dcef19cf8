import { TraceFlags } from "@opentelemetry/api";

/** Where the attributes of a span go. */
export interface AttributeSink {
  put(key: string, value: string | number): void;
}

/** Attributes of a span in the JSON of OTLP: members of a list, without its brackets. */
export class AttributeText implements AttributeSink {
  text = "";

  put(key: string, value: string | number): void {
    const member =
      typeof value === "string"
        ? `{"key":"${key}","value":{"stringValue":${quoted(value)}}}`
        : `{"key":"${key}","value":{"${Number.isInteger(value) ? "intValue" : "doubleValue"}":${value}}}`;
    this.text = this.text === "" ? member : `${this.text},${member}`;
  }
}

/** A span that has ended, with what OpenTelemetry says of it. Times are milliseconds since 1970, with fractions. */
export interface EndedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly tracestate: string | undefined;
  readonly parentSpanId: string | undefined;
  /** Whether the parent is in another process. */
  readonly isParentRemote: boolean;
  readonly name: string;
  /** As in OTLP: 2 for a server, 3 for a client. */
  readonly kind: 2 | 3;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: AttributeText;
  readonly isError: boolean;
}

const hasIsRemote = 0x100;
const isRemote = 0x200;
const parentKnown = TraceFlags.SAMPLED | hasIsRemote;
/** Status of OTLP: unset, error. */
const unset = 0;
const error = 2;

/**
 * A sampled span as the JSON of OTLP 1.10 (`opentelemetry.proto.trace.v1.Span`), with the members and the order that the
 * SDK of OpenTelemetry gives it.
 */
export function spanText(span: EndedSpan): string {
  const parent = span.parentSpanId === undefined ? "" : `"parentSpanId":"${span.parentSpanId}",`;
  const state = span.tracestate === undefined ? "" : `"traceState":${quoted(span.tracestate)},`;
  return (
    `{"traceId":"${span.traceId}","spanId":"${span.spanId}",${parent}${state}"name":${quoted(span.name)},` +
    `"kind":${span.kind},"startTimeUnixNano":"${nanoseconds(span.startMs)}",` +
    `"endTimeUnixNano":"${nanoseconds(Math.max(span.startMs, span.endMs))}",` +
    `"attributes":[${span.attributes.text}],"droppedAttributesCount":0,"events":[],"droppedEventsCount":0,` +
    `"status":{"code":${span.isError ? error : unset}},"links":[],"droppedLinksCount":0,` +
    `"flags":${span.isParentRemote ? parentKnown | isRemote : parentKnown}}`
  );
}

/** Nanoseconds since 1970, as the decimal text that the JSON of 64-bit integers is. */
function nanoseconds(ms: number): string {
  const whole = Math.trunc(ms);
  const rest = Math.min(999_999, Math.round((ms - whole) * 1e6)); // A number has not the digits for both.
  return `${whole}${String(rest).padStart(6, "0")}`;
}

const plain = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/** A text as JSON has it; most need no escape. */
function quoted(text: string): string {
  return plain.test(text) ? `"${text}"` : JSON.stringify(text.toWellFormed());
}
