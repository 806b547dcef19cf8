import { errorCode, Http2Error, protocolError } from "./http2-error.ts";
import { NumberRing } from "./number-ring.ts";

/** The last ended streams whose numbers are kept. */
const keptEnded = 64;
/** The last streams that we have reset: frames of them may still be under way. */
const keptReset = 1_024;

/** The numbers of the streams of a client (RFC 9113 5.1.1): which were opened, and how those that are over ended. */
export class StreamNumbers {
  readonly #ended = new NumberRing(keptEnded);
  readonly #reset = new NumberRing(keptReset);
  #last = 0;

  /** The highest stream that the client has opened. */
  get last(): number {
    return this.#last;
  }

  /** Whether a client opens a new stream by HEADERS with this number. */
  opens(streamId: number): boolean {
    if (streamId <= this.#last || streamId % 2 === 0) return false;
    this.#last = streamId;
    return true;
  }

  /** Both sides have ended a stream, or the client has reset it. */
  ended(streamId: number): void {
    this.#ended.add(streamId);
  }

  /** We have reset a stream, or do not process it. */
  reset(streamId: number): void {
    this.#reset.add(streamId);
  }

  /** Checks HEADERS of a stream that is not open. @throws Http2Error unless we have reset it */
  checkHeaders(streamId: number): void {
    if (streamId % 2 === 0) throw protocolError("HEADERS of an even stream");
    this.checkBegun(streamId, "HEADERS");
    if (this.#ended.has(streamId)) throw closedError("HEADERS");
    if (!this.#reset.has(streamId)) throw protocolError("HEADERS of a lower stream");
  }

  /** Checks DATA of a stream that is not open. @throws Http2Error unless we have reset it */
  checkData(streamId: number): void {
    this.checkBegun(streamId, "DATA");
    if (!this.#reset.has(streamId)) throw closedError("DATA");
  }

  /** Checks any other frame of a stream that is not open. @throws Http2Error if it never was */
  checkBegun(streamId: number, frame: string): void {
    if (streamId % 2 === 0 || streamId > this.#last) {
      throw protocolError(`${frame} of a stream that was not opened`);
    }
  }
}

/** The error of a frame of a stream whose client has ended it. */
export function closedError(frame: string): Http2Error {
  return new Http2Error(errorCode.streamClosed, `${frame} behind END_STREAM`);
}
