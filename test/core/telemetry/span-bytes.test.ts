import assert from "node:assert/strict";
import { test } from "node:test";
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace as otelTrace, TraceFlags } from "@opentelemetry/api";
import { ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { type ReadableSpan, TracerProvider } from "@opentelemetry/sdk-trace";
import { isOfShare, newTraceId } from "../../../src/core/telemetry/tracing/span-ids.ts";
import { SpanBytes } from "../../../src/core/telemetry/tracing/span-bytes.ts";
import { SpanPlace } from "../../../src/core/telemetry/tracing/span-place.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const spanId = "b7ad6b7169203331";
const parentSpanId = "00f067aa0ba902b7";
/** Milliseconds since 1970. */
const at = 1_800_000_000_000;

const resource = { "service.name": "shop", "process.pid": 300, [`long.${"x".repeat(150)}`]: "é" };
const place = new SpanPlace(resource, "x");

/** The request that OpenTelemetry's own exporter sends of some spans of one kind. */
function bySdk(all: readonly Required<Case>[]): Uint8Array {
  const ended: ReadableSpan[] = [];
  const provider = new TracerProvider({
    resource: resourceFromAttributes(resource),
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
  const tracer = provider.getTracer("x");
  for (const { name, attributes, isError, hasParent, startMs, endMs } of all) {
    const parent = { traceId, spanId: parentSpanId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
    const context = hasParent ? otelTrace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT;
    const span = tracer.startSpan(name, { kind: SpanKind.SERVER, attributes, startTime: startMs }, context);
    if (isError) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(endMs);
  }
  return ProtobufTraceSerializer.serializeRequest(ended) ?? assert.fail();
}

/** The same by this library. */
function byUs(all: readonly Required<Case>[]): Uint8Array {
  const spans = new SpanBytes();
  for (const { name, attributes, isError, hasParent: isParentRemote, startMs, endMs } of all) {
    const parent = isParentRemote ? parentSpanId : undefined;
    spans.begin({
      traceId,
      spanId,
      tracestate: undefined,
      parentSpanId: parent,
      name,
      kind: 2,
      startMs,
      endMs,
    });
    for (const [key, value] of Object.entries(attributes)) spans.put(key, value);
    spans.end({ isError, isParentRemote });
  }
  assert.equal(spans.count, all.length);
  return place.request(spans.bytes);
}

interface Case {
  readonly name?: string;
  readonly attributes?: Readonly<Record<string, string | number>>;
  readonly isError?: boolean;
  readonly hasParent?: boolean;
  readonly startMs?: number;
  readonly endMs?: number;
}

const usual: Required<Case> = {
  name: "GET /a",
  attributes: {},
  isError: false,
  hasParent: true,
  startMs: at,
  endMs: at + 3,
};

const cases: Readonly<Record<string, Case>> = {
  "texts, whole numbers and fractions": { attributes: { a: "b", n: 7, port: 65_535, big: 2 ** 40, f: 1.5 } },
  "quotes, controls and characters of all planes": {
    name: 'a "b"\\\n',
    attributes: { k: "é\u0001😀\u2028\u007f", empty: "" },
  },
  "texts of any length": {
    attributes: Object.fromEntries(
      [1, 63, 64, 90, 127, 128, 5_000, 20_000].map((length) => [`k${length}`, "x".repeat(length)]),
    ),
  },
  "a long key": { attributes: { ["k".repeat(200)]: "v" } },
  "an error": { attributes: { "error.type": "500" }, isError: true },
  "the beginning of a trace": { hasParent: false },
  "times with fractions": { startMs: at + 0.25, endMs: at + 1.5 },
  "the end of a second": { startMs: at + 999.999_75, endMs: at + 1_000 },
  "nothing beside its times": { name: "", hasParent: false },
};

for (const [what, one] of Object.entries(cases)) {
  test(`a span is written as OpenTelemetry writes it: ${what}`, () => {
    const all = [{ ...usual, ...one }];
    assert.deepEqual(Buffer.from(byUs(all)), Buffer.from(bySdk(all)));
  });
}

test("spans that follow one another share what is equal, and differ where it is not", () => {
  const of = (path: string, status: number): Required<Case> => ({
    ...usual,
    attributes: { "http.request.method": "GET", "url.path": path, "http.response.status_code": status },
  });
  const all = ["/a", "/a", "/a", "/b", "/a", "/é", "/é", "/é", "/a"].flatMap((path) => [
    of(path, 200),
    of(path, 404),
  ]);
  const many = Array.from({ length: 100 }, () => all).flat();
  assert.deepEqual(Buffer.from(byUs(many)), Buffer.from(bySdk(many)));
});

test("a span that was begun and not ended is left out", () => {
  const spans = new SpanBytes();
  const begin = (name: string): void =>
    spans.begin({ ...usual, name, kind: 2, traceId, spanId, parentSpanId, tracestate: undefined });
  begin("lost");
  spans.put("k", "v");
  begin(usual.name);
  spans.end({ isError: false, isParentRemote: true });
  assert.equal(spans.count, 1);
  assert.deepEqual(Buffer.from(place.request(spans.bytes)), Buffer.from(bySdk([usual])));
});

test("half of a surrogate pair, which no reader takes, is replaced", () => {
  const of = (name: string): Required<Case> => ({ ...usual, name, attributes: { k: name } });
  assert.deepEqual(byUs([of("a\ud83d")]), byUs([of("a\ufffd")]));
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
