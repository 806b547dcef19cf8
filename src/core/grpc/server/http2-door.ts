import { METHODS } from "../../net/node-http.ts";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { readOpening } from "../../net/sniffer.ts";

/** How long a client that was turned away may take to hang up, in milliseconds. */
const lingerMs = 2000;

/** What requests of HTTP/1 begin with. */
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
 * Lets connections in that speak HTTP/2: with TLS by ALPN, without by their first bytes. HTTP/1 gets the one answer that
 * says what is wrong; everything else but HTTP/2 is closed without a word (RFC 9113 3.4).
 */
export class Http2Door {
  readonly #timeoutMs: number;
  readonly #enter: (connection: Socket) => void;
  /** Connections that have not begun to speak, or were turned away. */
  readonly #outside = new Set<Socket>();

  /** @param timeoutMs how long a connection may take to say what it speaks, in milliseconds */
  constructor(timeoutMs: number, enter: (connection: Socket) => void) {
    this.#timeoutMs = timeoutMs;
    this.#enter = enter;
  }

  /** Takes a connection, with TLS after its handshake. */
  accept(socket: Socket): void {
    if (socket instanceof TLSSocket) {
      if (socket.alpnProtocol === "h2") this.#enter(socket);
      else this.#refuse(socket);
      return;
    }
    const outside = this.#outside;
    const gone = (): void => void outside.delete(socket);
    outside.add(socket);
    socket.once("close", gone);
    readOpening(socket, this.#timeoutMs, (opening) => {
      if (opening === "h2") {
        gone();
        socket.off("close", gone);
        this.#enter(socket);
      } else if (opening === "http/1.1" && isRequest(socket)) {
        this.#refuse(socket);
      } else {
        socket.destroy();
      }
    });
  }

  /** Cuts connections that did not get in. */
  close(): void {
    for (const socket of this.#outside) socket.destroy();
  }

  #refuse(socket: Socket): void {
    const timer = setTimeout(() => socket.destroy(), lingerMs);
    this.#outside.add(socket);
    socket.once("close", () => {
      clearTimeout(timer);
      this.#outside.delete(socket);
    });
    socket.resume(); // What the client still sends would reset the connection before it has read the answer.
    socket.end(refusal);
  }
}

function isRequest(socket: Socket): boolean {
  const first: unknown = socket.read();
  return Buffer.isBuffer(first) && request.test(first.toString("latin1", 0, 32));
}
