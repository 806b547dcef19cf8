import { defaultFrameBytes, defaultWindowBytes, frameFlag, frameType, headBytes, most31 } from "./frame.ts";
import { putHead } from "./frame-writer.ts";
import { HpackEncoder, mostBytesOf, writeLiterals, type FieldList } from "./hpack/encoder.ts";
import { errorCode, Http2Error } from "./http2-error.ts";
import { SendWindow } from "./send-window.ts";
import type { ReplyFields, ServerStream } from "./server-stream.ts";
import type { PeerSettings } from "./settings.ts";
import type { WriteTurn } from "./write-turn.ts";

/** While so many bytes wait in a socket, no further data is sent. */
const mostWaitingBytes = 256 * 1024;

/** Larger pieces of a body are passed to the socket as they are instead of being copied behind their frame's head. */
const mostCopiedBytes = 16_384;

/** The largest payload of our DATA frames, in bytes. */
const mostDataBytes = 65_536;

const noFields: FieldList = [];

/**
 * Sends the replies of one connection: headers at once, short data behind them, other data one frame a stream in turn.
 */
export class ReplyWriter {
  readonly #turn: WriteTurn;
  readonly #peer: PeerSettings;
  /** Called when END_STREAM of a stream is among the frames. */
  readonly #onEnded: (stream: ServerStream) => void;
  readonly #encoder = new HpackEncoder();
  readonly #window = new SendWindow(defaultWindowBytes);
  /** Streams that have data to send, in turn. */
  #senders: ServerStream[] = [];

  constructor(turn: WriteTurn, peer: PeerSettings, onEnded: (stream: ServerStream) => void) {
    this.#turn = turn;
    this.#peer = peer;
    this.#onEnded = onEnded;
  }

  /** Whether data waits for the socket or for windows. */
  get isHeldUp(): boolean {
    return this.#senders.length > 0;
  }

  /** The client's SETTINGS_HEADER_TABLE_SIZE. */
  readonly limitTable = (bytes: number): void => this.#encoder.limit(bytes);

  /** Adds headers, or trailers, to the turn. */
  writeHead(stream: ServerStream, { shared, own }: ReplyFields, ends: boolean): void {
    const most = 16 + mostBytesOf(shared) + mostBytesOf(own);
    const streamEnd = ends ? frameFlag.endStream : 0;
    const turn = this.#turn;
    if (most <= defaultFrameBytes) {
      const buffer = turn.reserve(headBytes + most);
      const at = turn.end;
      const end = this.#encode(shared, own, buffer, at + headBytes);
      const length = end - at - headBytes;
      putHead(buffer, at, length, frameType.headers, frameFlag.endHeaders | streamEnd, stream.id);
      turn.advance(end);
    } else {
      const block = Buffer.allocUnsafe(most);
      this.#writeLong(stream.id, block, this.#encode(shared, own, block, 0), streamEnd);
    }
    turn.schedule();
    if (ends) this.#end(stream);
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

  #encode(shared: FieldList, own: FieldList, into: Buffer, at: number): number {
    const encoder = this.#encoder;
    const start = encoder.mustResize ? encoder.writeResizes(into, at) : at;
    return writeLiterals(own, into, encoder.writeShared(shared, into, start));
  }

  #writeLong(streamId: number, block: Buffer, end: number, streamEnd: number): void {
    const turn = this.#turn;
    const mostBytes = this.#peer.maxFrameBytes;
    for (let from = 0; from < end;) {
      const bytes = Math.min(end - from, mostBytes);
      const buffer = turn.reserve(headBytes + bytes);
      const type = from === 0 ? frameType.headers : frameType.continuation;
      const flags = (from + bytes === end ? frameFlag.endHeaders : 0) | (from === 0 ? streamEnd : 0);
      const at = putHead(buffer, turn.end, bytes, type, flags, streamId);
      buffer.set(block.subarray(from, from + bytes), at);
      turn.advance(at + bytes);
      from += bytes;
    }
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
    else this.writeHead(stream, { shared: noFields, own: trailers }, true);
  }

  #writeFrame(stream: ServerStream, bytes: number, flags: number): void {
    stream.sendWindow -= bytes;
    this.#window.take(bytes);
    const turn = this.#turn;
    const buffer = turn.reserve(headBytes);
    turn.advance(putHead(buffer, turn.end, bytes, frameType.data, flags, stream.id));
    for (let left = bytes; left > 0;) {
      const piece = stream.take(left);
      left -= piece.length;
      if (piece.length > mostCopiedBytes) {
        turn.attach(piece);
      } else {
        const into = turn.reserve(piece.length);
        into.set(piece, turn.end);
        turn.advance(turn.end + piece.length);
      }
    }
  }

  #end(stream: ServerStream): void {
    stream.endSent = true;
    this.#onEnded(stream);
  }
}
