import { once } from "node:events";
import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";

/** A server without gRPC that answers streams as a test says, however wrong. */
export class RawGrpcServer implements AsyncDisposable {
  readonly #server: Http2Server;
  readonly sessions = new Set<ServerHttp2Session>();
  /** Streams that came so far. */
  streams = 0;

  constructor(answer: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, index: number) => void) {
    this.#server = createServer({ maxSendHeaderBlockLength: 1 << 20, maxSessionMemory: 1000 });
    this.#server.on("session", (session: ServerHttp2Session) => {
      this.sessions.add(session);
      session.on("close", () => this.sessions.delete(session));
      session.on("error", () => {});
    });
    this.#server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      stream.on("error", () => {});
      answer(stream, headers, this.streams++);
    });
  }

  async listen(port = 0): Promise<this> {
    this.#server.listen(port, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port; // Listens on TCP.
  }

  get target(): string {
    return `127.0.0.1:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.sessions) session.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** Headers of a gRPC answer. */
export const grpcHeaders = { ":status": 200, "content-type": "application/grpc" } as const;

/** `message` with the prefix that gRPC gives it. */
export function frame(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
