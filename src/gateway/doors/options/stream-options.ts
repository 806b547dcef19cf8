import { type StreamWriterOptions, streamWriterDefaults } from "../../http/stream-writer.ts";

/**
 * What becomes of an array whose stream fails after it has begun: no closing bracket and a cut connection, or a last
 * element `{"error":Status}` and a closing bracket.
 */
export type ArrayError = "truncate" | "element";

/** Options of streams over HTTP. */
export interface StreamOptions extends StreamWriterOptions {
  /**
   * How long the head of a streamed answer waits for the first message, in milliseconds. Until then an error still has
   * an HTTP status of its own; after it, an idle stream does not look dead. Default: 500.
   */
  readonly headerFlushMs: number;
  /**
   * How long an event stream may be silent before a comment is sent, in milliseconds. A dead client is found within
   * twice this time: on HTTP/2 by pings, on HTTP/1.1 by TCP keepalive, as long as no bytes wait for it, else by
   * `writeIdleMs`; see also `socketHeartbeatMs`. Default: 15,000.
   */
  readonly heartbeatMs: number;
  /** How long clients of event streams should wait before they come again, in milliseconds; 0 leaves it to them. Default: 0. */
  readonly sseRetryMs: number;
  /** How long the body of a client or bidi stream may bring no byte, in milliseconds: 408 beyond. Default: 60,000. */
  readonly bodyIdleMs: number;
  /** How an array tells of an error after its first element. Default: `truncate`. */
  readonly arrayError: ArrayError;
  /** The most bytes of an answer that has to be sent whole, to HTTP/1.0 clients: an error beyond. Default: 16 MiB. */
  readonly maxBufferedBytes: number;
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
});
