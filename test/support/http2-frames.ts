import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** Types of HTTP/2 frames (RFC 9113 6). */
export const frameType = {
  data: 0,
  headers: 1,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** Flags of HTTP/2 frames. */
export const flag = { endStream: 1, ack: 1, endHeaders: 4 } as const;

/** What a client sends first. */
export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** One frame, right or wrong. */
export function http2Frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = new Uint8Array(),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/** Header fields as HPACK literals without indexing and without Huffman coding. */
export function hpack(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [Buffer.from([0]), hpackText(name), hpackText(value)]),
  );
}

function hpackText(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
  length.push(rest);
  return Buffer.concat([Buffer.from(length), bytes]);
}

/** A 32-bit number as a payload. */
export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A frame that came in. */
export interface SeenFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** A socket that speaks HTTP/2 by hand: sends anything, keeps the frames that come back. */
export class RawHttp2 {
  readonly socket: Socket;
  readonly frames: SeenFrame[] = [];
  /** Whether the server has closed the connection. */
  closed = false;
  #bytes = Buffer.alloc(0);
  readonly #waiters = new Set<() => void>();
  /** Bytes in front of the first frame. */
  #skipped: number;

  /** @param skipped Bytes in front of the first frame: the preface of a client. */
  constructor(socket: Socket, skipped = 0) {
    this.socket = socket;
    this.#skipped = skipped;
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("close", () => {
      this.closed = true;
      this.#notify();
    });
  }

  /** Connects, and sends preface and SETTINGS unless told not to. */
  static async open(host: string, port: number, hello = true): Promise<RawHttp2> {
    const socket = connect(port, host);
    await once(socket, "connect");
    const raw = new RawHttp2(socket);
    if (hello) raw.send(preface, http2Frame(frameType.settings, 0, 0));
    return raw;
  }

  send(...frames: readonly Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(frames));
  }

  /** Resolves as soon as `condition` holds; rejects after `timeoutMs`. */
  async until(what: string, condition: (raw: this) => boolean, timeoutMs = 10_000): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!condition(this)) {
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`${what} did not happen within ${timeoutMs} ms`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#waiters.add(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  /** The frames of one type. */
  of(type: number): SeenFrame[] {
    return this.frames.filter((frame) => frame.type === type);
  }

  destroy(): void {
    this.socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    if (this.#skipped > 0) {
      const skipped = Math.min(this.#skipped, this.#bytes.length);
      this.#skipped -= skipped;
      this.#bytes = this.#bytes.subarray(skipped);
      if (this.#skipped > 0) return;
    }
    while (this.#bytes.length >= 9) {
      const length = this.#bytes.readUIntBE(0, 3);
      if (this.#bytes.length < 9 + length) break;
      this.frames.push({
        type: this.#bytes.readUInt8(3),
        flags: this.#bytes.readUInt8(4),
        streamId: this.#bytes.readUInt32BE(5) & 0x7fffffff,
        payload: this.#bytes.subarray(9, 9 + length),
      });
      this.#bytes = this.#bytes.subarray(9 + length);
    }
    this.#notify();
  }

  #notify(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter();
  }
}
