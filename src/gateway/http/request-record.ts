import type { ConnectError } from "../../core/errors/errors.ts";

/** What is counted of a request for those who are told of its end. */
export class RequestRecord {
  /** Bytes of the body that have been read, as they came. */
  bytesIn = 0;
  /** Bytes of the answer's body. */
  bytesOut = 0;
  /** When the head of the answer was written, in `performance.now()` milliseconds; undefined before. */
  answeredAt: number | undefined;
  /** The error that the client got; undefined for none. */
  failure: ConnectError | undefined;
}
