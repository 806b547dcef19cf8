import type { EncoderStart, StatusText, StreamEncoder, StreamEncoding } from "./stream-encoding.ts";

/** Options of `ndjson`. */
export interface NdjsonOptions {
  /** Media type of the answer. Default: `application/x-ndjson`. */
  readonly contentType?: string;
  /** Whether a line is `{"result":message}`, as in grpc-gateway, instead of the message itself. Default: false. */
  readonly wrap?: boolean;
}

/**
 * One message per line. A failed stream ends with the line `{"error":Status}`, so that messages should not have a
 * member `error`; a successful stream has no further line.
 */
export function ndjson(statusText: StatusText, options: NdjsonOptions = {}): StreamEncoding {
  const { contentType = "application/x-ndjson", wrap = false } = options;
  const [before, after] = wrap ? ['{"result":', "}\n"] : ["", "\n"];
  const begin = ({ messageText }: EncoderStart): StreamEncoder => ({
    opening: "",
    heartbeat: undefined,
    place: undefined,
    frame: { before: () => before, after, printed: () => {} },
    message: (message) => before + messageText(message) + after,
    end: () => "",
    error: (error) => `{"error":${statusText(error)}}\n`,
    reportsErrors: true,
    stop: undefined,
  });
  return { contentType, door: "ndjson", headers: { "x-accel-buffering": "no" }, endsVisibly: false, begin };
}
