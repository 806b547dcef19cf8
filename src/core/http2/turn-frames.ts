import { frameFlag, frameType, headBytes } from "./frame.ts";
import { putHead } from "./frame-writer.ts";
import type { WriteTurn } from "./write-turn.ts";

/** While so many bytes wait in a socket, no further data is sent. */
export const mostWaitingBytes: number = 256 * 1024;

/** Larger pieces of a body are passed to the socket as they are instead of being copied behind their frame's head. */
const mostCopiedBytes = 16_384;

/** A stream with bytes to send. */
export interface DataSource {
  readonly id: number;
  /** Takes bytes to send: at most `most`, of one chunk. */
  take(most: number): Uint8Array;
}

/** Adds a DATA frame with the next bytes of a stream to the turn. */
export function addDataFrame(turn: WriteTurn, source: DataSource, bytes: number, flags: number): void {
  const head = turn.reserve(headBytes);
  turn.advance(putHead(head, turn.end, bytes, frameType.data, flags, source.id));
  for (let left = bytes; left > 0;) {
    const piece = source.take(left);
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

/**
 * Adds the first `end` bytes of a header block to the turn: HEADERS, and as many CONTINUATION as the peer's largest
 * frame requires.
 *
 * @param streamEnd `frameFlag.endStream` if nothing follows the headers, else 0.
 */
export function addHeaderFrames(
  turn: WriteTurn,
  streamId: number,
  block: Buffer,
  end: number,
  streamEnd: number,
  mostBytes: number,
): void {
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
