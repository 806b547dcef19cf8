import { Code, ConnectError } from "../errors/errors.ts";
import { replyTooLarge } from "../errors/reply-too-large.ts";
import type { ClientStream } from "./client-stream.ts";
import type { ControlWriter } from "./control-writer.ts";
import { BlockMemo } from "./hpack/block-memo.ts";
import { CompressionError } from "./hpack/compression-error.ts";
import type { HpackDecoder } from "./hpack/decoder.ts";
import { errorCode, Http2Error, protocolError } from "./http2-error.ts";
import { readReplyHead, type ReplyHead } from "./reply-head.ts";
import type { StreamEnd } from "./session.ts";
import type { StreamTable } from "./stream-table.ts";

/** What the replies of a connection need of its session. */
export interface ReplyOwner {
  /** Streams that are open, by their numbers. */
  readonly streams: Pick<StreamTable<ClientStream>, "get">;
  /** The number of the next stream. */
  nextId(): number;
  /** Headers or data have come. */
  markReceived(): void;
  /** Counts a frame without a use. @throws Http2Error for too many */
  glitch(what: string): void;
  /** A stream is over. */
  end(stream: ClientStream, end: StreamEnd): void;
}

/** The connection's window is topped up after so many bytes; it is so large that it never holds up a stream. */
const connectionCreditBytes = 1024 * 1024;

/** The last ended streams whose numbers are kept. */
const keptNumbers = 64;

/** The end of a stream whose reply is complete. */
export const goodEnd: StreamEnd = Object.freeze({
  rstCode: errorCode.noError,
  unprocessed: false,
  lost: undefined,
});

/**
 * Reads the frames of replies: HEADERS, DATA, RST_STREAM. Frames of streams that are closed are read for the table of
 * headers and the windows alone.
 */
export class ReplyReader {
  readonly #owner: ReplyOwner;
  readonly #control: ControlWriter;
  readonly #decoder: HpackDecoder;
  readonly #memo = new BlockMemo<ReplyHead>();
  #answered = false;
  /** Bytes that have come since the last credit for the connection. */
  #uncredited = 0;
  /** The stream of the DATA frame that is being read, its length, and how many of its bytes were not delivered. */
  #stream: ClientStream | undefined;
  #length = 0;
  #rest = 0;
  readonly #ended: number[] = [];
  #endedCount = 0;

  constructor(owner: ReplyOwner, control: ControlWriter, decoder: HpackDecoder) {
    this.#owner = owner;
    this.#control = control;
    this.#decoder = decoder;
  }

  /** Whether the headers of a reply have come. */
  get answered(): boolean {
    return this.#answered;
  }

  headers(streamId: number, ended: boolean, bytes: Buffer, start: number, end: number): void {
    this.#owner.markReceived();
    const head = this.#decode(bytes, start, end);
    const stream = this.#owner.streams.get(streamId);
    if (stream === undefined) {
      this.#checkOver(streamId, "HEADERS");
      return;
    }
    if (stream.replied) throw closedError("HEADERS");
    if (head.tooLarge) {
      const error = replyTooLarge("the headers or trailers of the reply are too large");
      this.refuse(stream, errorCode.cancel, error);
      return;
    }
    this.#answered = true;
    const fault = stream.receiveHead(head, ended);
    if (stream.closed) return;
    if (fault !== undefined) this.refuseMalformed(stream, fault);
    else if (ended) this.#onReplied(stream);
  }

  /** A DATA frame begins. */
  data(streamId: number, length: number): void {
    this.#owner.markReceived();
    this.#uncredited += length;
    if (this.#uncredited >= connectionCreditBytes) {
      this.#control.windowUpdate(0, this.#uncredited);
      this.#uncredited = 0;
    }
    this.#stream = undefined;
    this.#length = length;
    this.#rest = length;
    const stream = this.#owner.streams.get(streamId);
    if (stream === undefined) {
      this.#checkOver(streamId, "DATA");
    } else if (stream.replied) {
      throw closedError("DATA");
    } else if (!stream.answered) {
      this.refuseMalformed(stream, "data before headers");
    } else if (!stream.receiveFrame(length)) {
      const text = "the server sends more data than it may";
      this.refuse(stream, errorCode.flowControlError, new ConnectError(text, Code.Internal));
    } else {
      this.#stream = stream;
    }
  }

  dataBytes(bytes: Buffer, start: number, end: number): void {
    const stream = this.#stream;
    if (stream === undefined || stream.closed || end === start) return;
    this.#rest -= end - start;
    const fault = stream.receiveData(bytes, start, end);
    if (fault !== undefined && !stream.closed) this.refuseMalformed(stream, fault);
  }

  dataEnd(ended: boolean): void {
    const stream = this.#stream;
    this.#stream = undefined;
    if (this.#length === 0 && !ended) this.#owner.glitch("empty DATA");
    if (stream === undefined || stream.closed) return;
    if (this.#rest > 0) stream.use(this.#rest);
    if (!ended) return;
    const fault = stream.receiveEnd();
    if (fault !== undefined) {
      this.refuseMalformed(stream, fault);
      return;
    }
    if (!stream.endSent) this.#control.rstStream(stream.id, errorCode.cancel);
    stream.endSent = true;
    this.#onReplied(stream);
  }

  rstStream(streamId: number, code: number): void {
    const stream = this.#owner.streams.get(streamId);
    if (stream === undefined) {
      this.checkBegun(streamId, "RST_STREAM");
      this.#owner.glitch("RST_STREAM of closed streams");
    } else if (stream.replied) {
      // The reply is complete, and the server does not read the rest of the request.
      this.#owner.end(stream, goodEnd);
    } else {
      const unprocessed = code === errorCode.refusedStream;
      this.#owner.end(stream, { rstCode: code, unprocessed, lost: undefined });
    }
  }

  /** Ends a stream whose reply violates HTTP/2. */
  refuseMalformed(stream: ClientStream, why: string): void {
    const error = new ConnectError(`the reply is malformed: ${why}`, Code.Internal);
    this.refuse(stream, errorCode.protocolError, error);
  }

  /** Ends a stream because of what the server has sent. */
  refuse(stream: ClientStream, code: number, fault: ConnectError): void {
    this.#control.rstStream(stream.id, code);
    stream.replied = false; // What has come is not delivered.
    this.#owner.end(stream, { rstCode: code, unprocessed: false, lost: undefined, fault });
  }

  /** Checks a frame of a stream that is not open. @throws Http2Error if it never was */
  checkBegun(streamId: number, frame: string): void {
    if (streamId % 2 === 0 || streamId >= this.#owner.nextId()) {
      throw protocolError(`${frame} of a stream that was not opened`);
    }
  }

  /** As `checkBegun`, for frames that end with their stream. */
  #checkOver(streamId: number, frame: string): void {
    this.checkBegun(streamId, frame);
    if (this.#ended.includes(streamId)) throw closedError(frame);
  }

  /** The reply of a stream is complete. */
  #onReplied(stream: ClientStream): void {
    this.#ended[this.#endedCount++ % keptNumbers] = stream.id;
    if (stream.endSent) this.#owner.end(stream, goodEnd);
  }

  #decode(bytes: Buffer, start: number, end: number): ReplyHead {
    const { version } = this.#decoder;
    const known = this.#memo.find(bytes, start, end, version);
    if (known !== undefined) return known;
    try {
      const head = readReplyHead(this.#decoder, bytes, start, end);
      if (this.#decoder.version === version) this.#memo.keep(bytes, start, end, version, head);
      return head;
    } catch (error) {
      if (!(error instanceof CompressionError)) throw error;
      throw new Http2Error(errorCode.compressionError, error.message);
    }
  }
}

function closedError(frame: string): Http2Error {
  return new Http2Error(errorCode.streamClosed, `${frame} behind END_STREAM`);
}
