import type { ReadableSpan, SpanProcessor } from "@opentelemetry/sdk-trace";
import { traceCounts } from "../trace-counts.ts";
import type { QueuedSpan, SpanSender } from "./span-sender.ts";

/** Spans leave in batches of so many. */
const batchSpans = 512;
/** Spans wait for others so long, in milliseconds. */
const batchMs = 1_000;

/**
 * Keeps ended spans until the collector takes them: one request at a time, and no call ever waits for it. Beyond the
 * size of the queue spans are dropped; those of a request that fails are lost. Both are counted.
 */
export class SpanQueue implements SpanProcessor {
  readonly #sender: SpanSender;
  readonly #size: number;
  #spans: QueuedSpan[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** Settles with the request that is under way. */
  #sending: Promise<void> | undefined;

  constructor(sender: SpanSender, size: number) {
    this.#sender = sender;
    this.#size = size;
  }

  onStart(): void {}

  /** A span of the SDK has ended. */
  onEnd(span: ReadableSpan): void {
    this.add(span);
  }

  add(span: QueuedSpan): void {
    if (this.#spans.length >= this.#size) {
      traceCounts.dropped++;
      return;
    }
    this.#spans.push(span);
    if (this.#spans.length >= batchSpans && this.#sending === undefined) this.#send();
    else this.#timer ??= setTimeout(() => this.#send(), batchMs).unref();
  }

  /** Sends everything. Resolves when the collector has it, or has refused it. */
  async forceFlush(): Promise<void> {
    while (this.#sending !== undefined || this.#spans.length > 0) {
      if (this.#sending === undefined) this.#send();
      await this.#sending;
    }
  }

  /** Drops everything that waits. */
  shutdown(): Promise<void> {
    clearTimeout(this.#timer);
    traceCounts.dropped += this.#spans.length;
    this.#spans = [];
    this.#sender.shutdown().catch(() => {}); // May take longer than any stop.
    return Promise.resolve();
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#sending !== undefined || this.#spans.length === 0) return;
    const batch = this.#spans.slice(0, batchSpans);
    this.#spans = this.#spans.slice(batchSpans);
    this.#sending = new Promise<void>((resolve) => {
      this.#sender.export(batch, ({ code }) => {
        if (code !== 0) traceCounts.dropped += batch.length;
        resolve();
      });
    }).then(() => {
      this.#sending = undefined;
      if (this.#spans.length >= batchSpans) this.#send();
      else if (this.#spans.length > 0) this.#timer ??= setTimeout(() => this.#send(), batchMs).unref();
    });
  }
}
