import { OTLPExporterBase } from "@opentelemetry/otlp-exporter-base";
import {
  convertLegacyHttpOptions,
  createOtlpHttpExportDelegate,
} from "@opentelemetry/otlp-exporter-base/node-http";
import { JsonTraceSerializer } from "@opentelemetry/otlp-transformer";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import { AttributeText } from "./span-text.ts";

/** A span that waits for its request: one of the SDK, or one of this library as bytes of the JSON of OTLP. */
export type QueuedSpan = ReadableSpan | Uint8Array;

/** Sends spans to a collector by OTLP over HTTP as JSON. */
export type SpanSender = OTLPExporterBase<readonly QueuedSpan[]>;

/** Where spans go. */
export interface SpanSenderOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMillis: number;
  /** Attributes of the resource, of texts and numbers. */
  readonly resource: Readonly<Record<string, string | number>>;
  /** Name of the scope of this library's own spans. */
  readonly scope: string;
}

/** What the JSON of a request begins with, from the SDK too. */
const opening = '{"resourceSpans":[';
const comma = Buffer.from(",");

/** A sender with the transport, the retries and the time-outs of OpenTelemetry's exporter. */
export function spanSender({ url, headers, timeoutMillis, resource, scope }: SpanSenderOptions): SpanSender {
  // Its successors do not read OTEL_EXPORTER_OTLP_* yet, which OpenTelemetry's own exporter does by it as well.
  // oxlint-disable-next-line typescript/no-deprecated
  const options = convertLegacyHttpOptions(
    { url, headers: { ...headers }, timeoutMillis },
    "TRACES",
    "v1/traces",
    { "Content-Type": "application/json" },
  );
  const attributes = new AttributeText();
  for (const [key, value] of Object.entries(resource)) attributes.put(key, value);
  const before =
    `{"resource":{"attributes":[${attributes.text}],"droppedAttributesCount":0},` +
    `"scopeSpans":[{"scope":{"name":"${scope}"},"spans":[`;
  const serializer = {
    serializeRequest: (spans: readonly QueuedSpan[]) => requestOf(spans, before),
    deserializeResponse: (response: Uint8Array) => JsonTraceSerializer.deserializeResponse(response),
  };
  const counting = { name: "span", countItems: (spans: readonly QueuedSpan[]) => spans.length } as const;
  return new OTLPExporterBase(
    createOtlpHttpExportDelegate(options, serializer, "otlp_http_json_span_exporter", counting, undefined),
  );
}

function requestOf(spans: readonly QueuedSpan[], before: string): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  const others: ReadableSpan[] = [];
  for (const span of spans) {
    if (span instanceof Uint8Array)
      parts.push(parts.length === 0 ? Buffer.from(opening + before) : comma, span);
    else others.push(span);
  }
  const rest = others.length === 0 ? undefined : JsonTraceSerializer.serializeRequest(others);
  if (parts.length === 0) return rest;
  if (rest === undefined) parts.push(Buffer.from("]}]}]}"));
  else parts.push(Buffer.from("]}]},"), rest.subarray(opening.length));
  return Buffer.concat(parts);
}
