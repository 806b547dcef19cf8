import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import { SpanBytes } from "./span-bytes.ts";

/** Spans that leave in one request. */
export class SpanBatch {
  /** Those of this library. */
  readonly own: SpanBytes;
  /** Those that the SDK of OpenTelemetry has made. */
  readonly others: ReadableSpan[] = [];

  /** @param own Default: none yet */
  constructor(own = new SpanBytes()) {
    this.own = own;
  }

  get count(): number {
    return this.own.count + this.others.length;
  }

  /** An empty one, to follow this one. */
  next(): SpanBatch {
    return new SpanBatch(this.own.next());
  }
}
