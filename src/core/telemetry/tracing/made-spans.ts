import type { SpanContext } from "@opentelemetry/api";
import type { SpanBytes, SpanHead } from "./span-bytes.ts";
import type { SpanQueue } from "./span-queue.ts";

/** Milliseconds since 1970 at the zero of the process's clock. */
export const { timeOrigin } = performance;

/** A span of this library that has ended. */
export interface MadeSpan extends Pick<SpanHead, "parentSpanId" | "name" | "kind" | "startMs"> {
  readonly ids: SpanContext;
}

/** Writes spans of this library, which have ended, into the queue. */
export class MadeSpans {
  readonly #queue: SpanQueue;

  constructor(queue: SpanQueue) {
    this.#queue = queue;
  }

  /** @returns where the attributes go, which `end` must follow; undefined where the span finds no room */
  begin({ ids, parentSpanId, name, kind, startMs }: MadeSpan): SpanBytes | undefined {
    const spans = this.#queue.room();
    const { traceId, spanId, traceState } = ids;
    const tracestate = traceState?.serialize();
    const endMs = timeOrigin + performance.now();
    spans?.begin({ traceId, spanId, tracestate, parentSpanId, name, kind, startMs, endMs });
    return spans;
  }

  end(spans: SpanBytes, isError: boolean, isParentRemote: boolean): void {
    spans.end({ isError, isParentRemote });
    this.#queue.added();
  }
}
