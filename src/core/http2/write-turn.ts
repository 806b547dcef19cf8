import type { Socket } from "node:net";

/**
 * Size of the buffers in which frames gather, in bytes: a default window of 65,535 bytes in frames of 16 KiB, with
 * control frames before it, is one write.
 */
const bufferBytes = 68 * 1024;
/** Buffers that are kept for later when they are written; as many are in use at a time at first. */
const mostSpare = 8;
/**
 * Size of the buffers of further connections that begin to write in the same turn, in bytes: where one publication goes
 * to a thousand connections, few bytes gather for each.
 */
const smallBytes = 1_024;

/** Buffers that no socket uses; shared by all connections, so that idle ones hold none. */
const spare: Buffer[] = [];

/** How many buffers were taken in this turn of the event loop. */
let taken = 0;

/** A buffer for a connection that begins to write. */
function firstBuffer(bytes: number): Buffer {
  if (taken === 0) setImmediate(turnOver);
  if (++taken > mostSpare && bytes <= smallBytes) return Buffer.allocUnsafe(smallBytes);
  return spare.pop() ?? Buffer.allocUnsafeSlow(bufferBytes);
}

function turnOver(): void {
  taken = 0;
}

/**
 * Gathers the frames of a turn of the event loop and writes them to a socket at once, in the check phase; a buffer that
 * is full is written at once.
 */
export class WriteTurn {
  readonly #socket: Socket;
  /** Adds the frames that are due to the turn. */
  readonly #fill: () => void;
  readonly #onWritten: () => void;
  #scheduled = false;
  #buffer: Buffer | undefined;
  /** Where the bytes of `#buffer` begin that are not among `#chunks` yet. */
  #start = 0;
  #end = 0;
  #chunks: Uint8Array[] = [];
  #chunkBytes = 0;
  /** How many chunks of the buffers were closed. */
  #closed = 0;
  /** Buffers to use again once everything that was written so far has been sent, by write. */
  #used: Buffer[] = [];
  readonly #writing: Buffer[][] = [];

  /**
   * @param fill Called before a write, to add frames.
   * @param onWritten Called when bytes have been handed to the system.
   */
  constructor(socket: Socket, fill: () => void, onWritten: () => void) {
    this.#socket = socket;
    this.#fill = fill;
    this.#onWritten = onWritten;
  }

  /** Bytes that have not been handed to the system yet. */
  get waitingBytes(): number {
    return this.#socket.writableLength + this.#chunkBytes + this.#end - this.#start;
  }

  /** Writes in the check phase of this turn. */
  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#run);
  }

  /** Makes room for `bytes`; they are to be written to `buffer` from `end` on. */
  reserve(bytes: number): Buffer {
    const buffer = this.#buffer;
    if (buffer !== undefined && buffer.length - this.#end >= bytes) return buffer;
    // What is in a small one goes with the next.
    if (buffer?.length === smallBytes) this.#closeChunk();
    else if (buffer !== undefined) this.send();
    const next = bytes > bufferBytes ? Buffer.allocUnsafe(bytes) : this.#nextBuffer(bytes, buffer);
    this.#buffer = next;
    this.#start = 0;
    this.#end = 0;
    return next;
  }

  #nextBuffer(bytes: number, before: Buffer | undefined): Buffer {
    if (before === undefined) return firstBuffer(bytes);
    return spare.pop() ?? Buffer.allocUnsafeSlow(bufferBytes);
  }

  /** Changes when what was added before cannot be changed any more. */
  get chunk(): number {
    return this.#closed;
  }

  /** Where the next byte of the buffer that `reserve` gave belongs. */
  get end(): number {
    return this.#end;
  }

  /** The buffer is filled up to `end`. */
  advance(end: number): void {
    this.#end = end;
  }

  /** Adds bytes as they are; they must not change any more. */
  attach(bytes: Uint8Array): void {
    this.#closeChunk();
    this.#chunks.push(bytes);
    this.#chunkBytes += bytes.length;
  }

  /** Writes what has gathered. */
  send(): void {
    this.#closeChunk();
    const buffer = this.#buffer;
    if (buffer !== undefined) {
      this.#used.push(buffer);
      this.#buffer = undefined;
      this.#start = 0;
      this.#end = 0;
    }
    const chunks = this.#chunks;
    if (chunks.length === 0) return;
    const socket = this.#socket;
    this.#chunks = [];
    this.#chunkBytes = 0;
    this.#writing.push(this.#used);
    this.#used = [];
    if (chunks.length > 1) socket.cork();
    const last = chunks.length - 1;
    for (let i = 0; i < last; i++) socket.write(chunks[i] ?? "");
    socket.write(chunks[last] ?? "", this.#written);
    if (chunks.length > 1) socket.uncork();
  }

  #closeChunk(): void {
    if (this.#end === this.#start || this.#buffer === undefined) return;
    this.#chunks.push(this.#buffer.subarray(this.#start, this.#end));
    this.#chunkBytes += this.#end - this.#start;
    this.#start = this.#end;
    this.#closed++;
  }

  readonly #run = (): void => {
    this.#scheduled = false;
    this.#fill();
    this.send();
  };

  /** Writes end in their order. */
  readonly #written = (): void => {
    for (const buffer of this.#writing.shift() ?? []) {
      if (buffer.length === bufferBytes && spare.length < mostSpare) spare.push(buffer);
    }
    this.#onWritten();
  };
}
