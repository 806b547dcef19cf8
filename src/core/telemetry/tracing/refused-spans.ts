import { type SpanContext, TraceFlags } from "@opentelemetry/api";
import type { CallArrival } from "../../call/observer.ts";
import { parseTracestate, tracestateHeader } from "../../metadata/trace-context.ts";
import type { Redactor } from "../redact.ts";
import { type MadeSpans, timeOrigin } from "./made-spans.ts";
import { PassedState } from "./remote-context.ts";
import type { Sampling } from "./sampling.ts";
import {
  isServerError,
  putRefusedAttributes,
  type RefusedRequest,
  refusedSpanName,
} from "./span-attributes.ts";
import { newSpanId, newTraceId } from "./span-ids.ts";

/** What spans of refused requests are made with. */
export interface RefusedSpansParts {
  readonly sampling: Sampling;
  readonly spans: MadeSpans;
  readonly redactor: Redactor;
}

/** Spans of requests that were refused before there was a call: for no rpc that is served, or malformed. */
export class RefusedSpans {
  readonly #parts: RefusedSpansParts;

  constructor(parts: RefusedSpansParts) {
    this.#parts = parts;
  }

  /** @param startedAt when the request came, in `performance.now()` milliseconds */
  add(arrival: CallArrival, refused: RefusedRequest, startedAt: number): void {
    const { sampling, spans, redactor } = this.#parts;
    const { parent, sampled } = sampling.decide(arrival);
    if (!sampled) return;
    const sent = arrival.head.headers[tracestateHeader];
    const state = parent && parseTracestate(Array.isArray(sent) ? sent.join(",") : String(sent ?? ""));
    const ids: SpanContext = {
      traceId: parent?.traceId ?? newTraceId(0, sampling.ratio),
      spanId: newSpanId(),
      traceFlags: TraceFlags.SAMPLED,
      ...(state !== undefined && { traceState: new PassedState(state) }),
    };
    const name = refusedSpanName(arrival, refused);
    const startMs = timeOrigin + startedAt;
    const written = spans.begin({ ids, parentSpanId: parent?.spanId, name, kind: 2, startMs });
    if (written === undefined) return;
    putRefusedAttributes(arrival, refused, redactor, written);
    spans.end(written, isServerError(refused.code, refused.status), parent !== undefined);
  }
}
