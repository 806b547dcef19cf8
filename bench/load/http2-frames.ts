/** The part of HTTP/2 (RFC 9113) that a load of unary calls needs: frames, and header blocks that never change. */

export const frameTypes = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
} as const;

export const flags = { endStream: 1, ack: 1, endHeaders: 4, padded: 8 } as const;

export const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** Default maximum size of a frame's payload. */
export const maxFrameBytes = 16_384;

const initialWindowSize = 4; // SETTINGS_INITIAL_WINDOW_SIZE

const prefixBytes = 9;

/** One frame. */
export function frame(type: number, frameFlags: number, stream: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(prefixBytes + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes.writeUInt8(type, 3);
  bytes.writeUInt8(frameFlags, 4);
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, prefixBytes);
  return bytes;
}

/** First frames of both sides: unlimited streams, and windows that small messages never use up. */
export function opening(): Buffer {
  const settings = Buffer.alloc(6);
  settings.writeUInt16BE(initialWindowSize, 0);
  settings.writeUInt32BE(2 ** 30, 2);
  return Buffer.concat([frame(frameTypes.settings, 0, 0, settings), windowUpdate(2 ** 31 - 1 - 65_535)]);
}

/** Increases the connection's window by this many bytes. */
export function windowUpdate(increment: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(increment);
  return frame(frameTypes.windowUpdate, 0, 0, payload);
}

/** The initial window of streams in a SETTINGS frame; undefined if it is not set. */
export function initialWindowOf(settings: Buffer): number | undefined {
  let window: number | undefined;
  for (let at = 0; at + 6 <= settings.length; at += 6) {
    if (settings.readUInt16BE(at) === initialWindowSize) window = settings.readUInt32BE(at + 2);
  }
  return window;
}

/** A header block (RFC 7541) of literal fields without indexing, so that it is the same for every stream. */
export function headerBlock(fields: Readonly<Record<string, string>>): Buffer {
  const parts = Object.entries(fields).map(([name, value]) =>
    Buffer.concat([Buffer.from([0]), literal(name), literal(value)]),
  );
  return Buffer.concat(parts);
}

function literal(text: string): Buffer {
  if (text.length > 126) throw new Error("lengths of more than one byte are not needed here");
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text, "latin1")]);
}

/** A message with gRPC's own prefix. */
export function grpcMessage(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(5 + message.length);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, 5);
  return bytes;
}

/**
 * Frames that repeat on every stream, with the stream's number to be written into a copy.
 */
export class FrameStamp {
  readonly length: number;
  readonly #bytes: Buffer;
  readonly #offsets: readonly number[];

  constructor(frames: readonly Buffer[]) {
    this.#bytes = Buffer.concat(frames);
    this.length = this.#bytes.length;
    let at = 0;
    this.#offsets = frames.map((one) => {
      const offset = at + 5;
      at += one.length;
      return offset;
    });
  }

  /** Writes the frames for `stream` at `at`; returns the offset after them. */
  write(into: Buffer, at: number, stream: number): number {
    into.set(this.#bytes, at);
    for (const offset of this.#offsets) into.writeUInt32BE(stream, at + offset);
    return at + this.length;
  }
}

/** Called with a frame, whose payload is `bytes[start, end)`. */
export type OnFrame = (
  type: number,
  frameFlags: number,
  stream: number,
  bytes: Buffer,
  start: number,
  end: number,
) => void;

/** Splits the bytes of a connection into frames. */
export class FrameReader {
  readonly #onFrame: OnFrame;
  #rest: Buffer | undefined;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
  }

  push(chunk: Buffer): void {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = undefined;
    let at = 0;
    while (bytes.length - at >= prefixBytes) {
      const end = at + prefixBytes + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      const stream = bytes.readUInt32BE(at + 5) & 0x7f_ff_ff_ff;
      this.#onFrame(bytes[at + 3] ?? 0, bytes[at + 4] ?? 0, stream, bytes, at + prefixBytes, end);
      at = end;
    }
    if (at < bytes.length) this.#rest = bytes.subarray(at);
  }
}
