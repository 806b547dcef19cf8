import { frameFlag, frameType, headBytes, most31 } from "./frame.ts";
import { HeaderBlock } from "./header-block.ts";
import { errorCode, Http2Error, protocolError } from "./http2-error.ts";

/**
 * Receives what a peer sends. Bytes are valid during the call only: they may be views of a buffer that is used again.
 */
export interface FrameSink {
  /** A DATA frame begins; `length` bytes count for flow control, its padding included. */
  data(streamId: number, length: number): void;
  /** Bytes of the DATA frame that has begun. */
  dataBytes(bytes: Buffer, start: number, end: number): void;
  /** The DATA frame that has begun is complete. */
  dataEnd(endStream: boolean): void;
  /** A complete header block. */
  headers(streamId: number, endStream: boolean, bytes: Buffer, start: number, end: number): void;
  rstStream(streamId: number, code: number): void;
  /** SETTINGS without the flag ACK. */
  settings(bytes: Buffer, start: number, end: number): void;
  settingsAck(): void;
  /** The eight bytes begin at `start`. */
  ping(ack: boolean, bytes: Buffer, start: number): void;
  /** `bytes[start, end)` is the debug data. */
  goaway(lastStreamId: number, code: number, bytes: Buffer, start: number, end: number): void;
  /** @param streamId 0 for the connection */
  windowUpdate(streamId: number, increment: number): void;
  /** PRIORITY, or a frame of a type that is not known: both have no effect. */
  ignored(type: number): void;
}

/** Limits of a reader. */
export interface FrameLimits {
  /** The SETTINGS_MAX_FRAME_SIZE that was announced. */
  readonly maxFrameBytes: number;
  /** The largest compressed header block. */
  readonly maxBlockBytes: number;
}

/** What the next byte is. */
type Part = "head" | "payload" | "pad length" | "data" | "padding" | "skipped";

/** Exact sizes of payloads. */
const sizes: Readonly<Record<number, number>> = {
  [frameType.priority]: 5,
  [frameType.rstStream]: 4,
  [frameType.ping]: 8,
  [frameType.windowUpdate]: 4,
};

/**
 * Splits the bytes of a connection into frames (RFC 9113 4, 6), in place where a frame is complete, and checks what can
 * be seen of a frame alone. DATA is passed on as it comes.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #limits: FrameLimits;
  #part: Part = "head";
  readonly #head = Buffer.allocUnsafe(headBytes);
  /** Bytes of a head or payload that has come in pieces. */
  #have = 0;
  #held: Buffer = this.#head;
  #length = 0;
  #type = 0;
  #flags = 0;
  #streamId = 0;
  /** Bytes of a DATA frame, its padding, or a skipped frame that are still to come. */
  #left = 0;
  #padding = 0;
  #begun = false;
  /** The stream whose header block is incomplete; 0 for none. */
  #blockId = 0;
  #blockEndsStream = false;
  readonly #block: HeaderBlock;

  constructor(sink: FrameSink, limits: FrameLimits) {
    this.#sink = sink;
    this.#limits = limits;
    this.#block = new HeaderBlock(limits.maxBlockBytes);
  }

  /**
   * Reads `bytes[0, end)`, which follow those of the last call.
   *
   * @throws Http2Error for a connection error; the reader cannot be used any more.
   */
  push(bytes: Buffer, end: number): void {
    let at = 0;
    while (at < end) {
      switch (this.#part) {
        case "head":
          at = this.#readHead(bytes, at, end);
          break;
        case "payload":
          at = this.#readPayload(bytes, at, end);
          break;
        case "pad length":
          this.#onPadLength(bytes[at++] ?? 0);
          break;
        default:
          at = this.#readPiece(bytes, at, end);
      }
    }
  }

  #readHead(bytes: Buffer, at: number, end: number): number {
    if (this.#have === 0 && end - at >= headBytes) {
      this.#begin(bytes, at);
      return at + headBytes;
    }
    const taken = Math.min(headBytes - this.#have, end - at);
    bytes.copy(this.#head, this.#have, at, at + taken);
    this.#have += taken;
    if (this.#have === headBytes) {
      this.#have = 0;
      this.#begin(this.#head, 0);
    }
    return at + taken;
  }

  #readPayload(bytes: Buffer, at: number, end: number): number {
    const length = this.#length;
    if (this.#have === 0 && end - at >= length) {
      this.#part = "head";
      this.#frame(bytes, at, at + length);
      return at + length;
    }
    if (this.#have === 0) this.#held = Buffer.allocUnsafe(length);
    const taken = Math.min(length - this.#have, end - at);
    bytes.copy(this.#held, this.#have, at, at + taken);
    this.#have += taken;
    if (this.#have === length) {
      const held = this.#held;
      this.#have = 0;
      this.#held = this.#head;
      this.#part = "head";
      this.#frame(held, 0, length);
    }
    return at + taken;
  }

  /** Bytes that need not be complete. */
  #readPiece(bytes: Buffer, at: number, end: number): number {
    const taken = Math.min(this.#left, end - at);
    this.#left -= taken;
    if (this.#part === "data") this.#sink.dataBytes(bytes, at, at + taken);
    if (this.#left === 0) this.#endPiece();
    return at + taken;
  }

  #endPiece(): void {
    if (this.#part === "data" && this.#padding > 0) {
      this.#part = "padding";
      this.#left = this.#padding;
      return;
    }
    const skipped = this.#part === "skipped";
    this.#part = "head";
    if (!skipped) this.#sink.dataEnd((this.#flags & frameFlag.endStream) !== 0);
  }

  #onPadLength(padding: number): void {
    if (padding >= this.#length) throw protocolError("padding as long as the DATA frame");
    this.#padding = padding;
    this.#left = this.#length - 1 - padding;
    this.#part = "data";
    if (this.#left === 0) this.#endPiece();
  }

  #begin(head: Buffer, at: number): void {
    const length = head.readUIntBE(at, 3);
    const type = head.readUInt8(at + 3);
    const flags = head.readUInt8(at + 4);
    const streamId = head.readUInt32BE(at + 5) & most31;
    this.#length = length;
    this.#type = type;
    this.#flags = flags;
    this.#streamId = streamId;
    if (!this.#begun) {
      if (type !== frameType.settings || streamId !== 0 || (flags & frameFlag.ack) !== 0) {
        throw protocolError("the first frame is not SETTINGS");
      }
      this.#begun = true;
    }
    if (length > this.#limits.maxFrameBytes) throw frameSizeError(`a frame of ${length} bytes`);
    if (
      this.#blockId !== 0
        ? type !== frameType.continuation || streamId !== this.#blockId
        : type === frameType.continuation
    ) {
      throw protocolError("a header block is not continued");
    }
    if (type === frameType.data) {
      this.#beginData();
      return;
    }
    this.#check();
    if (type > frameType.continuation) {
      this.#sink.ignored(type);
      this.#left = length;
      this.#part = length === 0 ? "head" : "skipped";
    } else if (length === 0) {
      this.#frame(head, at, at);
    } else {
      this.#part = "payload";
    }
  }

  #beginData(): void {
    const length = this.#length;
    if (this.#streamId === 0) throw protocolError("DATA of stream 0");
    const padded = (this.#flags & frameFlag.padded) !== 0;
    if (padded && length === 0) throw frameSizeError("DATA without its pad length");
    this.#sink.data(this.#streamId, length);
    this.#padding = 0;
    this.#left = length;
    this.#part = padded ? "pad length" : "data";
    if (length === 0) this.#endPiece();
  }

  /** Checks the head of a frame other than DATA. */
  #check(): void {
    const type = this.#type;
    const length = this.#length;
    const size = sizes[type];
    if (size !== undefined && length !== size) throw frameSizeError(`frame type ${type} of ${length} bytes`);
    switch (type) {
      case frameType.settings: {
        const isAck = (this.#flags & frameFlag.ack) !== 0;
        if (isAck ? length !== 0 : length % 6 !== 0) throw frameSizeError(`SETTINGS of ${length} bytes`);
        this.#expectStream(false);
        return;
      }
      case frameType.goaway:
        if (length < 8) throw frameSizeError(`GOAWAY of ${length} bytes`);
        this.#expectStream(false);
        return;
      case frameType.ping:
        this.#expectStream(false);
        return;
      case frameType.headers:
      case frameType.priority:
      case frameType.rstStream:
        this.#expectStream(true);
        return;
      case frameType.pushPromise:
        throw protocolError("PUSH_PROMISE");
      case frameType.continuation:
        this.#block.check(this.#length, (this.#flags & frameFlag.endHeaders) !== 0);
        break;
      default:
    }
  }

  #expectStream(ofStream: boolean): void {
    if ((this.#streamId !== 0) !== ofStream) {
      throw protocolError(`frame type ${this.#type} of stream ${this.#streamId}`);
    }
  }

  #frame(bytes: Buffer, start: number, end: number): void {
    const sink = this.#sink;
    const streamId = this.#streamId;
    const isAck = (this.#flags & frameFlag.ack) !== 0;
    switch (this.#type) {
      case frameType.headers:
        this.#onHeaders(bytes, start, end);
        return;
      case frameType.continuation:
        this.#onFragment(bytes, start, end);
        return;
      case frameType.priority:
        this.#expectOther(bytes, start);
        sink.ignored(this.#type);
        return;
      case frameType.rstStream:
        sink.rstStream(streamId, bytes.readUInt32BE(start));
        return;
      case frameType.settings:
        if (isAck) sink.settingsAck();
        else sink.settings(bytes, start, end);
        return;
      case frameType.ping:
        sink.ping(isAck, bytes, start);
        return;
      case frameType.goaway:
        sink.goaway(bytes.readUInt32BE(start) & most31, bytes.readUInt32BE(start + 4), bytes, start + 8, end);
        return;
      case frameType.windowUpdate:
        sink.windowUpdate(streamId, bytes.readUInt32BE(start) & most31);
        break;
      default:
    }
  }

  #onHeaders(bytes: Buffer, start: number, end: number): void {
    const flags = this.#flags;
    let from = start;
    let to = end;
    if ((flags & frameFlag.padded) !== 0) {
      if (from === end) throw frameSizeError("HEADERS without their pad length");
      to -= bytes.readUInt8(from++);
    }
    if ((flags & frameFlag.priority) !== 0) from += 5;
    if (from > to) throw protocolError("padding as long as the HEADERS frame");
    if ((flags & frameFlag.priority) !== 0) this.#expectOther(bytes, from - 5);
    const endsStream = (flags & frameFlag.endStream) !== 0;
    if ((flags & frameFlag.endHeaders) !== 0) {
      this.#sink.headers(this.#streamId, endsStream, bytes, from, to);
      return;
    }
    this.#blockId = this.#streamId;
    this.#blockEndsStream = endsStream;
    this.#block.begin(bytes, from, to);
  }

  /** Priorities have no effect, but a stream cannot depend on itself (RFC 7540 5.3.1). */
  #expectOther(bytes: Buffer, at: number): void {
    if ((bytes.readUInt32BE(at) & most31) === this.#streamId)
      throw protocolError("a stream depends on itself");
  }

  #onFragment(bytes: Buffer, start: number, end: number): void {
    this.#block.add(bytes, start, end);
    if ((this.#flags & frameFlag.endHeaders) === 0) return;
    const block = this.#block.take();
    this.#blockId = 0;
    this.#sink.headers(this.#streamId, this.#blockEndsStream, block, 0, block.length);
  }
}

function frameSizeError(message: string): Http2Error {
  return new Http2Error(errorCode.frameSizeError, message);
}
