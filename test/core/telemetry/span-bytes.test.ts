import assert from "node:assert/strict";
import { test } from "node:test";
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace as otelTrace, TraceFlags } from "@opentelemetry/api";
import { JsonTraceSerializer } from "@opentelemetry/otlp-transformer";
import { type ReadableSpan, TracerProvider } from "@opentelemetry/sdk-trace";
import { isOfShare, newTraceId } from "../../../src/core/telemetry/tracing/span-ids.ts";
import { AttributeText, spanText } from "../../../src/core/telemetry/tracing/span-text.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const spanId = "b7ad6b7169203331";
const parentSpanId = "00f067aa0ba902b7";
/** Milliseconds since 1970. */
const at = 1_800_000_000_000;

/** The JSON of OTLP that OpenTelemetry's own exporter sends of a span. */
function bySdk(
  name: string,
  attributes: Readonly<Record<string, string | number>>,
  { isError = false, hasParent = true, startMs = at, endMs = at + 3 },
): unknown {
  const ended: ReadableSpan[] = [];
  const provider = new TracerProvider({
    idGenerator: { generateTraceId: () => traceId, generateSpanId: () => spanId },
    spanProcessors: [
      {
        onStart() {},
        onEnd: (span) => ended.push(span),
        forceFlush: () => Promise.resolve(),
        shutdown: () => Promise.resolve(),
      },
    ],
  });
  const parent = { traceId, spanId: parentSpanId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
  const context = hasParent ? otelTrace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT;
  const span = provider
    .getTracer("x")
    .startSpan(name, { kind: SpanKind.SERVER, attributes, startTime: startMs }, context);
  if (isError) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end(endMs);
  const { resourceSpans } = JSON.parse(
    Buffer.from(JsonTraceSerializer.serializeRequest(ended) ?? []).toString(),
  ) as { resourceSpans: [{ scopeSpans: [{ spans: [unknown] }] }] };
  return resourceSpans[0].scopeSpans[0].spans[0];
}

interface Case {
  readonly name?: string;
  readonly attributes?: Readonly<Record<string, string | number>>;
  readonly isError?: boolean;
  readonly hasParent?: boolean;
  readonly startMs?: number;
  readonly endMs?: number;
}

const cases: Readonly<Record<string, Case>> = {
  "texts, integers and fractions": { attributes: { a: "b", n: 7, f: 1.5 } },
  "quotes, controls and characters of all planes": {
    name: 'a "b"\\\n',
    attributes: { k: "é\u0001😀\u2028\u007f" },
  },
  "an error": { attributes: { "error.type": "500" }, isError: true },
  "the beginning of a trace": { hasParent: false },
  "times with fractions": { startMs: at + 0.25, endMs: at + 1.5 },
};

for (const [what, one] of Object.entries(cases)) {
  test(`a span is written as OpenTelemetry writes it: ${what}`, () => {
    const { name = "GET /a", attributes = {}, isError = false, hasParent = true } = one;
    const { startMs = at, endMs = at + 3 } = one;
    const list = new AttributeText();
    for (const [key, value] of Object.entries(attributes)) list.put(key, value);
    const text = spanText({
      traceId,
      spanId,
      tracestate: undefined,
      parentSpanId: hasParent ? parentSpanId : undefined,
      isParentRemote: hasParent,
      name,
      kind: 2,
      startMs,
      endMs,
      attributes: list,
      isError,
    });
    assert.deepEqual(JSON.parse(text), bySdk(name, attributes, { isError, hasParent, startMs, endMs }));
  });
}

test("half of a surrogate pair, which no reader takes, is replaced", () => {
  const list = new AttributeText();
  list.put("k", "a\ud83d");
  assert.equal(list.text, '{"key":"k","value":{"stringValue":"a\ufffd"}}');
});

test("ids of traces are of the share that they are made for", () => {
  for (const share of [0.0001, 0.1, 0.5, 0.999]) {
    for (let i = 0; i < 1000; i++) {
      const sampled = newTraceId(0, share);
      const other = newTraceId(share);
      assert.match(sampled + other, /^[0-9a-f]{64}$/);
      assert.equal(isOfShare(sampled, share), true, sampled);
      assert.equal(isOfShare(other, share), false, other);
    }
  }
});
