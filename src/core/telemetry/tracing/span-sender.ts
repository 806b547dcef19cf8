import { OTLPExporterBase } from "@opentelemetry/otlp-exporter-base";
import {
  convertLegacyHttpOptions,
  createOtlpHttpExportDelegate,
} from "@opentelemetry/otlp-exporter-base/node-http";
import { ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import type { SpanBatch } from "./span-batch.ts";
import { SpanPlace } from "./span-place.ts";

/** Sends spans to a collector by OTLP over HTTP, in protobuf. */
export type SpanSender = OTLPExporterBase<SpanBatch>;

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

/** A sender with the transport, the retries and the time-outs of OpenTelemetry's exporter. */
export function spanSender({ url, headers, timeoutMillis, resource, scope }: SpanSenderOptions): SpanSender {
  // Its successors do not read OTEL_EXPORTER_OTLP_* yet, which OpenTelemetry's own exporter does by it as well.
  // oxlint-disable-next-line typescript/no-deprecated
  const options = convertLegacyHttpOptions(
    { url, headers: { ...headers }, timeoutMillis },
    "TRACES",
    "v1/traces",
    { "Content-Type": "application/x-protobuf" },
  );
  const place = new SpanPlace(resource, scope);
  const serializer = {
    serializeRequest: ({ own, others }: SpanBatch): Uint8Array | undefined => {
      const rest = others.length === 0 ? undefined : ProtobufTraceSerializer.serializeRequest(others);
      return own.count === 0 ? rest : place.request(own.bytes, rest);
    },
    deserializeResponse: (response: Uint8Array) => ProtobufTraceSerializer.deserializeResponse(response),
  };
  const counting = { name: "span", countItems: (batch: SpanBatch) => batch.count } as const;
  return new OTLPExporterBase(
    createOtlpHttpExportDelegate(options, serializer, "otlp_http_span_exporter", counting, undefined),
  );
}
