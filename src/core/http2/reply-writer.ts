import { defaultFrameBytes, defaultWindowBytes, frameFlag, frameType, headBytes, most31 } from "./frame.ts";
import { putHead } from "./frame-writer.ts";
import { HpackEncoder, mostBytesOf, writeLiterals } from "./hpack/encoder.ts";
import { errorCode, Http2Error } from "./http2-error.ts";
import { SendWindow } from "./send-window.ts";
import { PreparedBlocks } from "./hpack/prepared-blocks.ts";
import type { ReplyFields, ServerStream, WholeReply } from "./server-stream.ts";
import type { PeerSettings } from "./settings.ts";
import { addDataFrame, addHeaderFrames, mostWaitingBytes } from "./turn-frames.ts";
import type { WriteTurn } from "./write-turn.ts";

/** The largest payload of our DATA frames, in bytes. */
const mostDataBytes = 65_536;

/**
 * Sends the replies of one connection: headers at once, short data behind them, other data one frame a stream in turn.
 */
export class ReplyWriter {
  readonly #turn: WriteTurn;
  readonly #peer: PeerSettings;
  /** Called when END_STREAM of a stream is among the frames. */
  readonly #onEnded: (stream: ServerStream) => void;
  readonly #encoder = new HpackEncoder();
  readonly #blocks = new PreparedBlocks(this.#encoder);
  readonly #window = new SendWindow(defaultWindowBytes);
  /** Streams that have data to send, in turn. */
  #senders: ServerStream[] = [];
  /** The DATA frame at the end of the turn, which may grow while nothing follows it. */
  readonly #last = { stream: 0, at: 0, end: -1, bytes: 0, chunk: 0 };

  constructor(turn: WriteTurn, peer: PeerSettings, onEnded: (stream: ServerStream) => void) {
    this.#turn = turn;
    this.#peer = peer;
    this.#onEnded = onEnded;
  }

  /** Whether data waits for the socket or for windows. */
  get isHeldUp(): boolean {
    return this.#senders.length > 0;
  }

  /** The size of the header table, in bytes. */
  get tableBytes(): number {
    return this.#encoder.tableBytes;
  }

  /** The client's SETTINGS_HEADER_TABLE_SIZE. */
  readonly limitTable = (bytes: number): void => this.#encoder.limit(bytes);

  /** Adds headers, or trailers, to the turn. */
  writeHead(stream: ServerStream, fields: ReplyFields, ends: boolean): void {
    const most = this.#mostBytes(fields);
    const streamEnd = ends ? frameFlag.endStream : 0;
    const turn = this.#turn;
    if (most <= defaultFrameBytes) {
      const buffer = turn.reserve(headBytes + most);
      turn.advance(this.#putHeaders(stream.id, fields, streamEnd, buffer, turn.end));
    } else {
      const block = Buffer.allocUnsafe(most);
      addHeaderFrames(
        turn,
        stream.id,
        block,
        this.#encode(fields, block, 0),
        streamEnd,
        this.#peer.maxFrameBytes,
      );
    }
    turn.schedule();
    if (ends) this.#end(stream);
  }

  /** Adds a whole reply to the turn, in one piece. @returns false, and adds nothing, if something is in the way */
  writeReply(stream: ServerStream, { head, prefix, bytes, trailers }: WholeReply): boolean {
    const length = prefix.length + bytes.length;
    if (!this.#canSendNow(stream, length)) return false;
    const most = this.#mostBytes(head) + this.#mostBytes(trailers);
    if (most > defaultFrameBytes) return false;
    stream.sendWindow -= length;
    this.#window.take(length);
    const turn = this.#turn;
    const buffer = turn.reserve(3 * headBytes + most + length);
    const data = this.#putHeaders(stream.id, head, 0, buffer, turn.end);
    const end = putPieces(buffer, putHead(buffer, data, length, frameType.data, 0, stream.id), prefix, bytes);
    turn.advance(this.#putHeaders(stream.id, trailers, frameFlag.endStream, buffer, end));
    turn.schedule();
    this.#end(stream);
    return true;
  }

  /**
   * Adds data to the turn; what follows data of the same stream makes its frame longer. @returns false, and adds nothing,
   * if something is in the way
   */
  writeData(stream: ServerStream, prefix: Uint8Array, bytes: Uint8Array): boolean {
    const length = prefix.length + bytes.length;
    if (!this.#canSendNow(stream, length)) return false;
    stream.sendWindow -= length;
    this.#window.take(length);
    const turn = this.#turn;
    const last = this.#last;
    const buffer = turn.reserve(headBytes + length);
    let at = turn.end;
    const grows =
      last.stream === stream.id &&
      last.end === at &&
      last.chunk === turn.chunk &&
      last.bytes + length <= defaultFrameBytes;
    if (!grows) {
      last.stream = stream.id;
      last.chunk = turn.chunk;
      last.at = at;
      last.bytes = 0;
      at += headBytes;
    }
    last.bytes += length;
    putHead(buffer, last.at, last.bytes, frameType.data, 0, stream.id);
    last.end = putPieces(buffer, at, prefix, bytes);
    turn.advance(last.end);
    turn.schedule();
    return true;
  }

  /** Sends the data of a stream, at once if it is short and nothing is in the way. */
  hasWork(stream: ServerStream): void {
    if (stream.queued || !this.#canSend(stream)) return;
    const bytes = stream.pendingBytes;
    const fits = bytes <= defaultFrameBytes && bytes <= this.#window.bytes;
    if (fits && (bytes === 0 || bytes <= stream.sendWindow) && this.#turn.waitingBytes < mostWaitingBytes) {
      this.#writeData(stream, bytes);
      this.#turn.schedule();
      return;
    }
    stream.queued = true;
    this.#senders.push(stream);
    this.#turn.schedule();
  }

  /** The client gives credit to a stream, or takes some back by SETTINGS. @throws Http2Error for too much */
  widen(stream: ServerStream, bytes: number): void {
    stream.sendWindow += bytes;
    if (stream.sendWindow > most31) {
      throw new Http2Error(errorCode.flowControlError, "a window above 2^31 - 1");
    }
    this.hasWork(stream);
  }

  /** The client gives credit to the connection. @throws Http2Error for too much */
  widenConnection(bytes: number): void {
    if (!this.#window.add(bytes)) throw new Http2Error(errorCode.flowControlError, "a window above 2^31 - 1");
    if (this.#senders.length > 0) this.#turn.schedule();
  }

  /** Adds data to the turn, as much as the socket and windows take. @returns whether there was any */
  write(): boolean {
    let written = false;
    const held: ServerStream[] = [];
    while (this.#senders.length > 0 && this.#turn.waitingBytes < mostWaitingBytes) {
      const stream = this.#senders.shift();
      if (stream === undefined) break;
      stream.queued = false;
      if (!this.#canSend(stream)) continue;
      const bytes = Math.min(
        stream.pendingBytes,
        Math.max(stream.sendWindow, 0),
        this.#window.bytes,
        this.#peer.maxFrameBytes,
        mostDataBytes,
      );
      if (bytes === 0 && stream.pendingBytes > 0) {
        stream.queued = true;
        held.push(stream); // Until the window of the connection opens.
        continue;
      }
      this.#writeData(stream, bytes);
      written = true;
      if (this.#canSend(stream) && !stream.queued) {
        stream.queued = true;
        this.#senders.push(stream);
      }
      stream.onSent();
    }
    if (held.length > 0) this.#senders = [...held, ...this.#senders];
    return written;
  }

  /** Whether the stream's own window lets it send something. */
  #canSend(stream: ServerStream): boolean {
    return stream.hasWork && (stream.sendWindow > 0 || stream.pendingBytes === 0);
  }

  /** Whether so many bytes of a stream may go at once, as one frame. */
  #canSendNow(stream: ServerStream, bytes: number): boolean {
    return (
      bytes <= defaultFrameBytes &&
      bytes <= stream.sendWindow &&
      bytes <= this.#window.bytes &&
      this.#turn.waitingBytes < mostWaitingBytes
    );
  }

  #mostBytes({ shared, own, prepared }: ReplyFields): number {
    const most = prepared === undefined ? mostBytesOf(shared) : this.#blocks.mostBytes(shared);
    return 16 + most + mostBytesOf(own);
  }

  #putHeaders(streamId: number, fields: ReplyFields, streamEnd: number, into: Buffer, at: number): number {
    const end = this.#encode(fields, into, at + headBytes);
    const flags = frameFlag.endHeaders | streamEnd;
    putHead(into, at, end - at - headBytes, frameType.headers, flags, streamId);
    return end;
  }

  #encode({ shared, own, prepared }: ReplyFields, into: Buffer, at: number): number {
    const encoder = this.#encoder;
    const start = encoder.mustResize ? encoder.writeResizes(into, at) : at;
    const end =
      prepared === undefined
        ? encoder.writeShared(shared, into, start)
        : this.#blocks.write(shared, into, start);
    return own.length === 0 ? end : writeLiterals(own, into, end);
  }

  /** A DATA frame, and the trailers if it is the last one. */
  #writeData(stream: ServerStream, bytes: number): void {
    const isLast = stream.ending && bytes === stream.pendingBytes;
    const { trailers } = stream;
    if (bytes > 0 || trailers === undefined) {
      this.#writeFrame(stream, bytes, isLast && trailers === undefined ? frameFlag.endStream : 0);
    }
    if (!isLast) return;
    if (trailers === undefined) this.#end(stream);
    else this.writeHead(stream, trailers, true);
  }

  #writeFrame(stream: ServerStream, bytes: number, flags: number): void {
    stream.sendWindow -= bytes;
    this.#window.take(bytes);
    addDataFrame(this.#turn, stream, bytes, flags);
  }

  #end(stream: ServerStream): void {
    stream.endSent = true;
    this.#onEnded(stream);
  }
}

/** Pieces of so few bytes are copied byte by byte, which is faster than a call into Node. */
const fewBytes = 64;

function putPieces(into: Buffer, at: number, prefix: Uint8Array, bytes: Uint8Array): number {
  let end = at;
  for (let i = 0; i < prefix.length; i++) into[end++] = prefix[i] ?? 0;
  if (bytes.length > fewBytes) {
    into.set(bytes, end);
    return end + bytes.length;
  }
  for (let i = 0; i < bytes.length; i++) into[end++] = bytes[i] ?? 0;
  return end;
}
