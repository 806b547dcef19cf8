import { Agent } from "node:http";
import { connect as connectSocket, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { connectFailure, ConnectTimeout, type ConnectStage } from "../http2/connect-failure.ts";
import type { ConnectOptions } from "../http2/connect-options.ts";
import { probeAfter } from "../net/keepalive.ts";
import type { Address, Target } from "../net/target.ts";

/** Most requests at a time to one endpoint, each on a socket of its own; further ones wait. */
export const mostSockets = 100;

/** A request that never left this process: no connection could be made for it. */
export class NotSent extends Error {}

/** Opens connections of HTTP/1.1 to one address. */
export class SocketMaker {
  readonly #address: Address;
  readonly #target: Target;
  readonly #options: ConnectOptions;
  readonly #established = new WeakSet<Socket>();

  constructor(address: Address, target: Target, options: ConnectOptions) {
    this.#address = address;
    this.#target = target;
    this.#options = options;
  }

  /** Whether a socket was connected, with TLS if there is any. */
  isEstablished(socket: Socket): boolean {
    return this.#established.has(socket);
  }

  /** Begins to connect; a failure, also that of taking too long, is an error of the socket. */
  make(): Socket {
    const { tls, timeoutMs, keepalive, background } = this.#options;
    const socket =
      tls === undefined
        ? connectSocket(this.#address)
        : connectTls({ ...tls(this.#target.host), ALPNProtocols: ["http/1.1"], ...this.#address });
    socket.setNoDelay(true);
    if (keepalive.tcpMs > 0) probeAfter(socket, keepalive.tcpMs);
    if (background === true) socket.unref();
    const timer = setTimeout(() => {
      socket.destroy(new ConnectTimeout(timeoutMs));
    }, timeoutMs);
    socket.once("close", () => clearTimeout(timer));
    socket.once(tls === undefined ? "connect" : "secureConnect", () => {
      clearTimeout(timer);
      this.#established.add(socket);
    });
    return socket;
  }

  /** A connected socket. @throws ConnectError UNAVAILABLE */
  connect(): Promise<Socket> {
    const { tls, signal } = this.#options;
    return new Promise((resolve, reject) => {
      const socket = this.make();
      let stage: ConnectStage = "connecting";
      socket.once("connect", () => (stage = "connected"));
      const giveUp = (): void => void socket.destroy(signal.reason as Error); // A `ConnectError`.
      const settle = (): void => signal.removeEventListener("abort", giveUp);
      signal.addEventListener("abort", giveUp, { once: true });
      socket.once(tls === undefined ? "connect" : "secureConnect", () => {
        settle();
        resolve(socket);
      });
      socket.on("error", (error) => {
        settle();
        reject(connectFailure(error, { secure: tls !== undefined, stage, heard: false }));
      });
    });
  }
}

/** The sockets of one endpoint, which are kept open between requests. */
export class EndpointAgent extends Agent {
  readonly #make: () => Socket;
  #first: Socket | undefined;

  /** @param first a socket that is connected, for the first request */
  constructor(first: Socket, make: () => Socket) {
    super({ keepAlive: true, maxSockets: mostSockets, maxFreeSockets: mostSockets });
    this.#make = make;
    this.#first = first;
    first.resume(); // Otherwise its end is not seen.
    first.once("close", () => (this.#first = undefined));
  }

  override createConnection(): Socket {
    const first = this.#first;
    this.#first = undefined;
    return first ?? this.#make();
  }

  override destroy(): void {
    this.#first?.destroy();
    super.destroy();
  }
}
