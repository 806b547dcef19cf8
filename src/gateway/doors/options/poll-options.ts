/** Options of long polling. */
export interface LongPollOptions {
  /** The longest that one request may wait, in milliseconds, whatever it prefers. Default: 60,000. */
  readonly maxPollWaitMs: number;
  /** How long a stream is kept open while nobody asks for more of it, in milliseconds. Default: 60,000. */
  readonly pollIdleMs: number;
  /** Text of messages that is held for a client; the stream is paused beyond, in bytes. Default: 1 MiB. */
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
