import { type StreamWriterOptions, streamWriterDefaults } from "../../http/stream-writer.ts";

/**
 * How an array ends whose stream fails after it has begun: without a closing bracket and with a closed connection
 * (`truncate`), or with a last element `{"error":Status}` and a closing bracket (`element`).
 */
export type ArrayError = "truncate" | "element";

/** Counts open streams of events and of lines. */
export interface StreamLimit {
  /** A stream is opened; `leave` is called when it has ended. @throws ConnectError for one too many */
  enter(): void;
  leave(): void;
}

/** Options of streams over HTTP. */
export interface StreamOptions extends StreamWriterOptions {
  /**
   * How long the head of a streamed answer waits for the first message, in milliseconds. Until then an error can still
   * set the HTTP status; after it, the client of an idle stream sees that the server is alive. Default: 500.
   */
  readonly headerFlushMs: number;
  /**
   * How long an event stream may be idle before a comment is sent, in milliseconds. A dead client is detected within
   * twice this time: on HTTP/2 by pings, on HTTP/1.1 by TCP keepalive if no bytes are in flight, else by `writeIdleMs`;
   * see also `socketHeartbeatMs`. Default: 15,000.
   */
  readonly heartbeatMs: number;
  /**
   * How long clients of event streams should wait before they reconnect, in milliseconds; 0 for the client's default.
   * Default: 0.
   */
  readonly sseRetryMs: number;
  /** How long the body of a client or bidi stream may be idle, in milliseconds: 408 beyond. Default: 60,000. */
  readonly bodyIdleMs: number;
  /** How an array reports an error after its first element. Default: `truncate`. */
  readonly arrayError: ArrayError;
  /**
   * The most bytes of a stream that is sent as one buffered answer, to HTTP/1.0 clients: an error beyond. Default: 16
   * MiB.
   */
  readonly maxBufferedBytes: number;
  /**
   * Limits the open streams of events and of lines; servers that are given the same one share it. One too many is 503.
   * Default: none, any number.
   */
  readonly streamLimit: StreamLimit | undefined;
}

/** The defaults of `StreamOptions`. */
export const streamDefaults: StreamOptions = Object.freeze({
  ...streamWriterDefaults,
  headerFlushMs: 500,
  heartbeatMs: 15_000,
  sseRetryMs: 0,
  bodyIdleMs: 60_000,
  arrayError: "truncate",
  maxBufferedBytes: 16 * 1024 * 1024,
  streamLimit: undefined,
});
