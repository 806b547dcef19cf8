/** Options of long polling. */
export interface LongPollOptions {
  /** The longest wait of one request, in milliseconds, even if it prefers more. Default: 60,000. */
  readonly maxPollWaitMs: number;
  /** How long a stream is kept open without a request for it, in milliseconds. Default: 60,000. */
  readonly pollIdleMs: number;
  /** The most text of messages that is buffered for a client, in bytes; the stream is paused beyond. Default: 1 MiB. */
  readonly pollBufferBytes: number;
  /** The most streams that are kept open for polling: RESOURCE_EXHAUSTED beyond. Default: 1,000. */
  readonly maxPolledStreams: number;
}

/** The defaults of `LongPollOptions`. */
export const longPollDefaults: LongPollOptions = Object.freeze({
  maxPollWaitMs: 60_000,
  pollIdleMs: 60_000,
  pollBufferBytes: 1024 * 1024,
  maxPolledStreams: 1000,
});
