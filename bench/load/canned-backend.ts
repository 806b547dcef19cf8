import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import {
  flags,
  frame,
  FrameReader,
  type FrameStamp,
  frameTypes,
  initialWindowOf,
  opening,
  preface,
  windowUpdate,
} from "./http2-frames.ts";
import { AnswerBook, type Answer } from "./answer-book.ts";
import type { GrpcWork } from "./grpc-work.ts";

/** A gRPC server with prepared replies. */
export interface CannedBackend {
  readonly port: number;
  close(): void;
}

/** The certificate of a backend and its key, PEM. */
export interface BackendTls {
  readonly cert: string;
  readonly key: string;
}

/**
 * Answers calls of any rpc from a list of requests and replies, cheaply enough never to be the bottleneck of a client. A
 * request that is not on the list closes the connection, and so does a window of streams below 16 KiB. A reply waits
 * for the windows of its stream and of the connection.
 *
 * @param tls serves TLS. Default: plain text.
 */
export async function startCannedBackend(
  works: readonly GrpcWork[],
  tls?: BackendTls,
): Promise<CannedBackend> {
  const book = new AnswerBook(works);
  const sockets = new Set<Socket>();
  const accept = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    new Connection(socket, book);
  };
  const server =
    tls === undefined
      ? createServer({ noDelay: true }, accept)
      : createTlsServer({ ...tls, noDelay: true, ALPNProtocols: ["h2"] }, accept);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** Initial flow-control window (RFC 9113, 6.9.2). */
const initialWindowBytes = 65_535;

/** Number of received bytes after which the window of a connection is updated. */
const windowShareBytes = 2 ** 29;

/** The most bytes of one write. */
const writeBytes = 262_144;

/** A reply that is being sent. */
interface Sending {
  readonly answer: Answer;
  /** Index of the next piece. */
  next: number;
  /** Window of the stream. */
  window: number;
}

/** One connection of a client. */
class Connection {
  readonly #socket: Socket;
  readonly #book: AnswerBook;
  /** What came of requests that are not complete, by stream. */
  readonly #requests = new Map<number, Buffer[]>();
  readonly #sendings = new Map<number, Sending>();
  #received = 0;
  #window = initialWindowBytes;
  #streamWindow = initialWindowBytes;

  constructor(socket: Socket, book: AnswerBook) {
    this.#socket = socket;
    this.#book = book;
    const frames = new FrameReader((type, frameFlags, stream, bytes, start, end) => {
      const payload = bytes.subarray(start, end);
      if (type === frameTypes.data) this.#data(stream, frameFlags, payload);
      else if (type === frameTypes.reset) this.#forget(stream);
      else if (type >= frameTypes.settings) this.#control(type, frameFlags, stream, payload);
    });
    let begun = false;
    socket.write(opening());
    socket.on("data", (chunk: Buffer) => {
      frames.push(begun ? chunk : chunk.subarray(preface.length));
      begun = true;
      this.#openWindow();
      this.#flush();
    });
    socket.on("drain", () => this.#flush());
  }

  #data(stream: number, frameFlags: number, payload: Buffer): void {
    this.#received += payload.length;
    const before = this.#requests.get(stream);
    if ((frameFlags & flags.endStream) === 0) {
      if (before === undefined) this.#requests.set(stream, [payload]);
      else before.push(payload);
      return;
    }
    const request = before === undefined ? payload : Buffer.concat([...before, payload]);
    this.#requests.delete(stream);
    const answer = (frameFlags & flags.padded) === 0 ? this.#book.find(request) : undefined;
    const window = this.#streamWindow;
    if (answer === undefined || answer.some(({ dataBytes }) => dataBytes > window)) this.#socket.destroy();
    else this.#sendings.set(stream, { answer, next: 0, window });
  }

  #forget(stream: number): void {
    this.#requests.delete(stream);
    this.#sendings.delete(stream);
  }

  #control(type: number, frameFlags: number, stream: number, payload: Buffer): void {
    if (type === frameTypes.windowUpdate) {
      const sending = this.#sendings.get(stream);
      if (stream === 0) this.#window += payload.readUInt32BE();
      else if (sending !== undefined) sending.window += payload.readUInt32BE();
      return;
    }
    const asked = type === frameTypes.settings || type === frameTypes.ping;
    if (!asked || (frameFlags & flags.ack) !== 0) return;
    if (type === frameTypes.settings) this.#resize(initialWindowOf(payload) ?? this.#streamWindow);
    this.#socket.write(frame(type, flags.ack, 0, type === frameTypes.ping ? payload : Buffer.alloc(0)));
  }

  /** Another initial window changes those of streams in use (RFC 9113, 6.9.2). */
  #resize(window: number): void {
    for (const sending of this.#sendings.values()) sending.window += window - this.#streamWindow;
    this.#streamWindow = window;
  }

  /** Updates the window of the connection, which large requests use up, although it begins at its maximum. */
  #openWindow(): void {
    if (this.#received < windowShareBytes) return;
    this.#socket.write(windowUpdate(this.#received));
    this.#received = 0;
  }

  /** Writes what fits into the client's windows, in as few writes as possible, until the socket is full. */
  #flush(): void {
    while (this.#sendings.size > 0 && !this.#socket.writableNeedDrain && this.#writeSome());
  }

  /** Returns whether there was anything to write. */
  #writeSome(): boolean {
    const pieces: { readonly stamp: FrameStamp; readonly stream: number }[] = [];
    let length = 0;
    for (const [stream, sending] of this.#sendings) {
      for (;;) {
        const piece = sending.answer[sending.next];
        if (piece === undefined) {
          this.#sendings.delete(stream);
          break;
        }
        const { dataBytes, stamp } = piece;
        if (dataBytes > this.#window || dataBytes > sending.window || length > writeBytes) break;
        this.#window -= dataBytes;
        sending.window -= dataBytes;
        sending.next++;
        pieces.push({ stamp, stream });
        length += stamp.length;
      }
    }
    if (length === 0) return false;
    const bytes = Buffer.allocUnsafe(length);
    let at = 0;
    for (const { stamp, stream } of pieces) at = stamp.write(bytes, at, stream);
    this.#socket.write(bytes);
    return true;
  }
}
