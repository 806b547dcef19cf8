import type { ReadableSpan, SpanProcessor } from "@opentelemetry/sdk-trace";
import { traceCounts } from "../trace-counts.ts";
import { SpanBatch } from "./span-batch.ts";
import type { SpanBytes } from "./span-bytes.ts";
import type { SpanSender } from "./span-sender.ts";

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
  /** Batches that are full, the oldest first. */
  #full: SpanBatch[] = [];
  #filling = new SpanBatch();
  #timer: NodeJS.Timeout | undefined;
  /** Settles with the request that is under way. */
  #sending: Promise<void> | undefined;

  constructor(sender: SpanSender, size: number) {
    this.#sender = sender;
    this.#size = size;
  }

  /** How many spans wait. */
  get #count(): number {
    return this.#full.length * batchSpans + this.#filling.count;
  }

  onStart(): void {}

  /** A span of the SDK has ended. */
  onEnd(span: ReadableSpan): void {
    if (!this.#hasRoom()) return;
    this.#filling.others.push(span);
    this.added();
  }

  /** Where a span of this library can be written, which `added` must follow; undefined where none has room. */
  room(): SpanBytes | undefined {
    return this.#hasRoom() ? this.#filling.own : undefined;
  }

  /** A span was written. */
  added(): void {
    if (this.#filling.count >= batchSpans) {
      this.#full.push(this.#filling);
      this.#filling = this.#filling.next();
      if (this.#sending === undefined) this.#send();
    } else {
      this.#sendLater();
    }
  }

  /** Sends everything. Resolves when the collector has it, or has refused it. */
  async forceFlush(): Promise<void> {
    while (this.#sending !== undefined || this.#count > 0) {
      if (this.#sending === undefined) this.#send();
      await this.#sending;
    }
  }

  /** Drops everything that waits. */
  shutdown(): Promise<void> {
    clearTimeout(this.#timer);
    traceCounts.dropped += this.#count;
    this.#full = [];
    this.#filling = this.#filling.next();
    this.#sender.shutdown().catch(() => {}); // May take longer than any stop.
    return Promise.resolve();
  }

  #hasRoom(): boolean {
    if (this.#count < this.#size) return true;
    traceCounts.dropped++;
    return false;
  }

  #sendLater(): void {
    this.#timer ??= setTimeout(() => this.#send(), batchMs).unref();
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#sending !== undefined || this.#count === 0) return;
    const batch = this.#full.shift() ?? this.#filling;
    if (batch === this.#filling) this.#filling = this.#filling.next();
    this.#sending = new Promise<void>((resolve) => {
      this.#sender.export(batch, ({ code }) => {
        if (code !== 0) traceCounts.dropped += batch.count;
        resolve();
      });
    }).then(() => {
      this.#sending = undefined;
      if (this.#full.length > 0) this.#send();
      else if (this.#count > 0) this.#sendLater();
    });
  }
}
