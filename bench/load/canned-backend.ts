import { createServer, type Socket } from "node:net";
import { once } from "node:events";
import {
  flags,
  frame,
  FrameReader,
  frameTypes,
  initialWindowOf,
  opening,
  preface,
  windowUpdate,
} from "./http2-frames.ts";
import { AnswerBook, type Answer } from "./answer-book.ts";
import type { GrpcWork } from "./grpc-load.ts";

/** A gRPC server with prepared replies. */
export interface CannedBackend {
  readonly port: number;
  close(): void;
}

/**
 * Answers unary calls of any rpc from a list of requests and replies, cheaply enough never to be the bottleneck of a
 * client. A request that is not on the list closes the connection. A reply must fit into the flow-control window of a
 * stream; it waits for the window of the connection.
 */
export async function startCannedBackend(works: readonly GrpcWork[]): Promise<CannedBackend> {
  const book = new AnswerBook(works);
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    new Connection(socket, book);
  });
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

/** One connection of a client. */
class Connection {
  readonly #socket: Socket;
  readonly #book: AnswerBook;
  readonly #requests = new Map<number, Buffer>();
  readonly #answers: { readonly answer: Answer; readonly stream: number }[] = [];
  #received = 0;
  #window = initialWindowBytes;
  #streamWindow = initialWindowBytes;

  constructor(socket: Socket, book: AnswerBook) {
    this.#socket = socket;
    this.#book = book;
    const frames = new FrameReader((type, frameFlags, stream, bytes, start, end) => {
      const payload = bytes.subarray(start, end);
      if (type === frameTypes.data) this.#data(stream, frameFlags, payload);
      else if (type === frameTypes.reset) this.#requests.delete(stream);
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
  }

  #data(stream: number, frameFlags: number, payload: Buffer): void {
    this.#received += payload.length;
    const before = this.#requests.get(stream);
    const request = before === undefined ? payload : Buffer.concat([before, payload]);
    if ((frameFlags & flags.endStream) === 0) {
      this.#requests.set(stream, request);
      return;
    }
    this.#requests.delete(stream);
    const answer = (frameFlags & flags.padded) === 0 ? this.#book.find(request) : undefined;
    if (answer === undefined || answer.dataBytes > this.#streamWindow) this.#socket.destroy();
    else this.#answers.push({ answer, stream });
  }

  #control(type: number, frameFlags: number, stream: number, payload: Buffer): void {
    if (type === frameTypes.windowUpdate) {
      if (stream === 0) this.#window += payload.readUInt32BE();
      return;
    }
    const asked = type === frameTypes.settings || type === frameTypes.ping;
    if (!asked || (frameFlags & flags.ack) !== 0) return;
    if (type === frameTypes.settings) this.#streamWindow = initialWindowOf(payload) ?? this.#streamWindow;
    this.#socket.write(frame(type, flags.ack, 0, type === frameTypes.ping ? payload : Buffer.alloc(0)));
  }

  /** Updates the window of the connection, which large requests use up, although it begins at its maximum. */
  #openWindow(): void {
    if (this.#received < windowShareBytes) return;
    this.#socket.write(windowUpdate(this.#received));
    this.#received = 0;
  }

  /** Writes the pending replies that fit into the client's window in one write. */
  #flush(): void {
    let count = 0;
    let length = 0;
    for (const { answer } of this.#answers) {
      if (answer.dataBytes > this.#window) break;
      this.#window -= answer.dataBytes;
      length += answer.stamp.length;
      count++;
    }
    if (count === 0) return;
    const bytes = Buffer.allocUnsafe(length);
    let at = 0;
    for (const { answer, stream } of this.#answers.splice(0, count))
      at = answer.stamp.write(bytes, at, stream);
    this.#socket.write(bytes);
  }
}
