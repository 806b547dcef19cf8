import { once } from "node:events";
import type { Socket } from "node:net";
import { WebSocket, type ClientOptions, type RawData } from "ws";
import { connectTo } from "../../support/gateway-fixture.ts";

/** How a socket ended. */
export interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** How long a test waits for what has to come, in milliseconds. */
const limitMs = 20_000;

/** A WebSocket client that keeps what comes until a test asks for it. */
export class SocketClient {
  readonly ws: WebSocket;
  /** Frames that nobody has asked for yet. */
  readonly frames: { readonly data: Buffer; readonly isBinary: boolean }[] = [];
  /** Resolves when the socket is closed. */
  readonly closed: Promise<Closed>;
  #isClosed = false;
  #wake: (() => void) | undefined;

  constructor(url: string, protocols: string | string[] = [], options: ClientOptions = {}) {
    this.ws = new WebSocket(url, protocols, options);
    this.ws.on("message", (data: RawData, isBinary) => {
      this.frames.push({ data: data as Buffer, isBinary }); // Buffers are the default.
      this.#wake?.();
    });
    this.ws.on("error", () => {}); // `closed` and `refused` tell.
    this.closed = new Promise((resolve) => {
      this.ws.once("close", (code, reason) => {
        this.#isClosed = true;
        this.#wake?.();
        resolve({ code, reason: reason.toString() });
      });
    });
  }

  /** Resolves when the handshake is done. */
  async open(): Promise<this> {
    if (this.ws.readyState === WebSocket.CONNECTING) await within(once(this.ws, "open"), "the handshake");
    return this;
  }

  /** The plain HTTP answer to the handshake. */
  async refused(): Promise<{ status: number; body: string; headers: NodeJS.Dict<string | string[]> }> {
    const answer = new Promise<{ status: number; body: string; headers: NodeJS.Dict<string | string[]> }>(
      (resolve, reject) => {
        this.ws.once("open", () => reject(new Error("the socket was opened")));
        this.ws.once("unexpected-response", (_request, response) => {
          let body = "";
          response.setEncoding("utf8").on("data", (text: string) => (body += text));
          response.once("end", () =>
            resolve({ status: response.statusCode ?? 0, body, headers: response.headers }),
          );
        });
      },
    );
    return within(answer, "the refusal");
  }

  send(...frames: (string | Uint8Array)[]): void {
    for (const frame of frames) this.ws.send(frame);
  }

  /** The next frame; rejects when the socket closes before. */
  async next(): Promise<{ readonly data: Buffer; readonly isBinary: boolean }> {
    while (this.frames.length === 0) {
      if (this.#isClosed) throw new Error("the socket is closed");
      await within(new Promise<void>((resolve) => (this.#wake = resolve)), "a frame");
    }
    const frame = this.frames.shift();
    if (frame === undefined) throw new Error("unreachable");
    return frame;
  }

  /** The next frame as JSON. */
  async json(): Promise<Record<string, unknown>> {
    return JSON.parse((await this.next()).data.toString()) as Record<string, unknown>;
  }

  /** The code of the final status frame, and how the socket closed after it. */
  async end(): Promise<{ status: number; message: string; code: number }> {
    const { code } = await within(this.closed, "the close");
    const last = this.frames.at(-1);
    if (last === undefined) throw new Error(`closed with ${code} and no frame`);
    const { status } = JSON.parse(last.data.toString()) as { status: { code: number; message: string } };
    return { status: status.code, message: status.message, code };
  }

  /** All frames until the socket closes, as text. */
  async texts(): Promise<string[]> {
    await within(this.closed, "the close");
    return this.frames.map(({ data }) => data.toString());
  }
}

/** `work`, or an error that says what did not come in time. */
export async function within<T>(work: Promise<T>, what: string, ms = limitMs): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      work,
      new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`${what} did not come within ${ms} ms`)), ms);
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}

/** The head of a handshake. */
export function handshake(path: string, more = ""): string {
  return (
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${more}\r\n`
  );
}

/** How a raw frame differs from a good one of a client. */
export interface FrameInit {
  readonly final?: boolean;
  readonly reserved?: number;
  readonly masked?: boolean;
}

export const opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** The bytes of a frame (RFC 6455 section 5.2). */
export function frame(code: number, payload: string | Uint8Array = "", init: FrameInit = {}): Buffer {
  const { final = true, reserved = 0, masked = true } = init;
  const data = Buffer.from(payload);
  const head = [(final ? 0x80 : 0) | (reserved << 4) | code];
  const mark = masked ? 0x80 : 0;
  if (data.length < 126) head.push(mark | data.length);
  else if (data.length < 65_536) head.push(mark | 126, data.length >> 8, data.length & 255);
  else head.push(mark | 127, 0, 0, 0, 0, ...u32(data.length));
  const mask = masked ? [1, 2, 3, 4] : [];
  const body = masked ? data.map((byte, index) => byte ^ ((index % 4) + 1)) : data;
  return Buffer.concat([Buffer.from(head), Buffer.from(mask), body]);
}

function u32(value: number): number[] {
  return [(value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}

/** A frame of a server. */
export interface ServerFrame {
  readonly opcode: number;
  readonly data: Buffer;
}

/** A connection that speaks WebSocket byte by byte. */
export class RawSocket {
  readonly socket: Socket;
  readonly frames: ServerFrame[] = [];
  /** Resolves when the connection is closed. */
  readonly gone: Promise<void>;
  #bytes = Buffer.alloc(0);
  #headRead = false;
  #wake: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", () => {});
    this.gone = new Promise((resolve) => socket.once("close", () => resolve()));
    socket.once("close", () => this.#wake?.());
  }

  /** Opens a socket on `path`; `first` goes out with the handshake, in one segment. */
  static async open(port: number, path: string, first: Uint8Array = Buffer.alloc(0)): Promise<RawSocket> {
    const raw = new RawSocket(await connectTo(port));
    raw.socket.write(Buffer.concat([Buffer.from(handshake(path)), first]));
    await raw.#until(() => raw.#headRead);
    return raw;
  }

  write(...frames: Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** The code of the server's close frame; 1006 if the connection broke without. */
  async closeCode(): Promise<number> {
    await this.#until(() => this.frames.some((one) => one.opcode === opcode.close) || this.socket.closed);
    const close = this.frames.find((one) => one.opcode === opcode.close);
    if (close === undefined) return 1006;
    return close.data.length < 2 ? 1005 : close.data.readUInt16BE(0);
  }

  /** Resolves when this many frames are there. */
  count(frames: number): Promise<void> {
    return this.#until(() => this.frames.length >= frames);
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.socket.closed) throw new Error("the connection is closed");
      await within(new Promise<void>((resolve) => (this.#wake = resolve)), "what the test waits for");
    }
  }

  #read(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    if (!this.#headRead) {
      const end = this.#bytes.indexOf("\r\n\r\n");
      if (end === -1) return;
      const head = this.#bytes.toString("latin1", 0, end);
      if (!head.startsWith("HTTP/1.1 101 ")) this.socket.destroy(new Error(head));
      this.#headRead = true;
      this.#bytes = this.#bytes.subarray(end + 4);
    }
    for (let one = this.#take(); one !== undefined; one = this.#take()) this.frames.push(one);
    this.#wake?.();
  }

  #take(): ServerFrame | undefined {
    const bytes = this.#bytes;
    if (bytes.length < 2) return undefined;
    let length = bytes.readUInt8(1) & 127;
    let start = 2;
    if (length === 126) {
      if (bytes.length < 4) return undefined;
      length = bytes.readUInt16BE(2);
      start = 4;
    } else if (length === 127) {
      if (bytes.length < 10) return undefined;
      length = Number(bytes.readBigUInt64BE(2));
      start = 10;
    }
    if (bytes.length < start + length) return undefined;
    this.#bytes = bytes.subarray(start + length);
    return { opcode: bytes.readUInt8(0) & 15, data: bytes.subarray(start, start + length) };
  }
}
