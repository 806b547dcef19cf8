import type { ReplyFields } from "../../http2/reply-status.ts";
import type { StreamEnd, StreamListener } from "../../http2/session.ts";

/** A call as the streams of its attempts see it. */
export interface CallOfAttempts {
  /** Whether this is the attempt in progress: streams of earlier ones may still close. */
  isCurrent(attempt: StreamListener): boolean;
  answered(headers: ReplyFields, ended: boolean): void;
  arrived(chunk: Buffer, borrowed: boolean): void;
  completed(trailers: ReplyFields): void;
  drained(): void;
  closed(end: StreamEnd): void;
}

/** What a stream reports to its call, for all attempts but the first. */
export class FurtherAttempt implements StreamListener {
  readonly #call: CallOfAttempts;

  constructor(call: CallOfAttempts) {
    this.#call = call;
  }

  onResponse(headers: ReplyFields, ended: boolean): void {
    if (this.#call.isCurrent(this)) this.#call.answered(headers, ended);
  }

  onData(chunk: Buffer, borrowed: boolean): void {
    if (this.#call.isCurrent(this)) this.#call.arrived(chunk, borrowed);
  }

  onTrailers(trailers: ReplyFields): void {
    if (this.#call.isCurrent(this)) this.#call.completed(trailers);
  }

  onDrain(): void {
    if (this.#call.isCurrent(this)) this.#call.drained();
  }

  onClose(end: StreamEnd): void {
    if (this.#call.isCurrent(this)) this.#call.closed(end);
  }
}
