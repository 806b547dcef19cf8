import { METHODS } from "../../net/node-http.ts";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { readOpening } from "../../net/sniffer.ts";

/** How long a refused client may keep its connection open, in milliseconds. */
const lingerMs = 2000;

/** The start of HTTP/1 requests. */
const request = new RegExp(`^(?:${METHODS.join("|")}) `);

const text = "This port speaks gRPC, over HTTP/2 only.\n";
const refusal = [
  "HTTP/1.1 426 Upgrade Required",
  "upgrade: HTTP/2.0",
  "connection: close, upgrade",
  "content-type: text/plain; charset=utf-8",
  `content-length: ${text.length}`,
  "",
  text,
].join("\r\n");

/**
 * Accepts connections that speak HTTP/2, detected with TLS by ALPN, without by their first bytes. An HTTP/1 request is
 * answered with 426; a connection of any other protocol is closed without an answer (RFC 9113 3.4).
 */
export class Http2Acceptor {
  readonly #timeoutMs: number;
  readonly #onHttp2: (connection: Socket) => void;
  /** Connections whose protocol is not known yet, and refused ones. */
  readonly #pending = new Set<Socket>();

  /**
   * @param timeoutMs how long a client may need for its first bytes, in milliseconds
   * @param onHttp2 called with every connection that speaks HTTP/2
   */
  constructor(timeoutMs: number, onHttp2: (connection: Socket) => void) {
    this.#timeoutMs = timeoutMs;
    this.#onHttp2 = onHttp2;
  }

  /** Accepts a connection, with TLS after its handshake. */
  accept(socket: Socket): void {
    if (socket instanceof TLSSocket) {
      if (socket.alpnProtocol === "h2") this.#onHttp2(socket);
      else this.#refuse(socket);
      return;
    }
    const pending = this.#pending;
    const forget = (): void => void pending.delete(socket);
    pending.add(socket);
    socket.once("close", forget);
    readOpening(socket, this.#timeoutMs, (opening) => {
      if (opening === "h2") {
        forget();
        socket.off("close", forget);
        this.#onHttp2(socket);
      } else if (opening === "http/1.1" && isRequest(socket)) {
        this.#refuse(socket);
      } else {
        socket.destroy();
      }
    });
  }

  /** Destroys the connections that were not passed to `onHttp2`. */
  close(): void {
    for (const socket of this.#pending) socket.destroy();
  }

  #refuse(socket: Socket): void {
    const timer = setTimeout(() => socket.destroy(), lingerMs);
    this.#pending.add(socket);
    socket.once("close", () => {
      clearTimeout(timer);
      this.#pending.delete(socket);
    });
    socket.resume(); // Unread bytes would reset the connection before the client has read the answer.
    socket.end(refusal);
  }
}

function isRequest(socket: Socket): boolean {
  const first: unknown = socket.read();
  return Buffer.isBuffer(first) && request.test(first.toString("latin1", 0, 32));
}
