import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { ConnectError } from "../../core/errors/errors.ts";
import { setKeepalive } from "../../core/net/keepalive.ts";
import { readOpening } from "../../core/net/sniffer.ts";
import { ServerTls, type ServerTlsOptions } from "../../core/net/tls.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { ErrorWriter } from "../http/error-writer.ts";
import type { HttpExchange } from "../http/exchange.ts";
import { Http1Connections } from "./http1/http1-connections.ts";
import type { ExchangeHooks, LiveExchange } from "./live-exchange.ts";
import { Http2Connections, type Http2Options } from "./http2/http2-connections.ts";
import type { Http2Side } from "./http2/http2-side.ts";
import { OwnHttp2Connections } from "./http2/own-http2-connections.ts";

/** Options of `PortServer`. */
export interface PortServerOptions extends Http2Options {
  /** Serves TLS. Undefined: plain text. */
  readonly tls: ServerTlsOptions | undefined;
}

/** Serves an exchange; request and response are the same as Node gives them, for Fastify. */
export type ServeExchange = (
  exchange: HttpExchange,
  request: IncomingMessage,
  response: ServerResponse,
) => void;

/**
 * What stands between a port and the engine: finds out what a connection speaks, with TLS by ALPN, without by its first
 * bytes, and gives it to `Http1Connections` or `Http2Connections`.
 */
export class PortServer {
  readonly #options: PortServerOptions;
  readonly #http1: Http1Connections;
  #http2: Http2Side;
  readonly #tls: ServerTls | undefined;
  readonly #useNode: (serve: ServeExchange) => void;
  readonly #useOwn: (serve: (exchange: HttpExchange) => void) => Http2Side;
  /** One line for people on the engine of HTTP/2; undefined before it is chosen, and without a choice. */
  #engineLine: string | undefined;
  /** Connections that have not said yet what they speak. */
  readonly #undecided = new Set<Socket>();

  /** @throws TypeError if the option `tls` cannot be used. */
  constructor(options: PortServerOptions, errors: ErrorWriter, hooks: ExchangeHooks) {
    this.#options = options;
    this.#http1 = new Http1Connections(options, errors, hooks);
    const http2 = new Http2Connections(options, errors, hooks);
    this.#http2 = http2;
    this.#useNode = (serve) => http2.use((exchange) => serve(exchange, ...exchange.asHttp1));
    this.#useOwn = (serve) => new OwnHttp2Connections(options, errors, hooks, serve);
    const { tls, handshakeTimeoutMs } = options;
    const use = { server: "HTTP", protocols: ["h2", "http/1.1"], handshakeTimeoutMs };
    this.#tls = tls === undefined ? undefined : new ServerTls(tls, use);
  }

  /** Every exchange that is under way. */
  get inFlight(): readonly LiveExchange[] {
    return [...this.#http1.inFlight, ...this.#http2.inFlight];
  }

  /** A server whose good requests, of whatever version, reach `serve`. */
  createServer(serve: ServeExchange): Server {
    const server = this.#http1.createServer((exchange) => serve(exchange, exchange.req, exchange));
    this.#useNode(serve);
    // Node's own listener of HTTP/1 gets its connections from here.
    const [http1] = server.listeners("connection");
    if (http1 === undefined)
      throw new Error("this version of Node does not listen to connections as is known");
    server.removeAllListeners("connection");
    const serveHttp1 = (socket: Socket): void => {
      void socket.remoteAddress; // A connection that was reset has none, unless it was asked for before.
      http1.call(server, socket);
    };
    const accept =
      this.#tls === undefined
        ? (socket: Socket): void => this.#acceptPlain(socket, serveHttp1)
        : this.#acceptTls(server, this.#tls, serveHttp1);
    server.on("connection", (socket: Socket) => {
      this.#undecided.add(socket);
      socket.once("close", () => this.#undecided.delete(socket));
      setKeepalive(socket, this.#options);
      socket.on("error", () => {}); // A connection that breaks tells by its close.
      accept(socket);
    });
    if (this.#options.grpc !== undefined) letConnectionsOutlast(server);
    return server;
  }

  /**
   * Chooses the engine of HTTP/2, before the first connection.
   *
   * @param fastify Why requests may pass through Fastify, which takes those of `node:http2`; undefined if none does.
   * @param serve Gets the good requests of our own engine, which all pass Fastify by.
   * @throws SetupError if our own engine is asked for by name and cannot serve.
   */
  chooseHttp2(fastify: string | undefined, serve: (exchange: HttpExchange) => void): void {
    const { engine, grpc } = this.#options;
    if (engine === "node") return;
    const hindrance =
      grpc === undefined ? fastify : "the option `grpc`: streams of gRPC are those of node:http2";
    if (hindrance === undefined) {
      this.#http2 = this.#useOwn(serve);
      this.#engineLine = "HTTP/2 is served by the engine of ts-ms";
    } else if (engine === "own") {
      throw new SetupError(`HTTP: \`engine: "own"\` cannot serve HTTP/2: ${hindrance}`);
    } else {
      this.#engineLine = `HTTP/2 is served by node:http2: ${hindrance}`;
    }
  }

  /** One line for people on the engine of HTTP/2; none where there is no choice. */
  describe(): string[] {
    return this.#engineLine === undefined ? [] : [this.#engineLine];
  }

  /** Answers an HTTP/1 connection whose bytes are not HTTP, and closes it. */
  clientError(error: NodeJS.ErrnoException, socket: Socket): void {
    this.#http1.clientError(error, socket);
  }

  /** Every connection that is open now closes with its next response, or gets a GOAWAY. */
  closeConnections(): void {
    this.#http1.closeConnections();
    this.#http2.goAway();
  }

  /**
   * Accepts no more connections and closes those that are idle. TLS handshakes under way may end, since their clients are
   * about to send a request; `cutConnections` ends the others.
   */
  closeListeners(): void {
    this.#http1.closeListeners();
    this.#http2.stop();
    if (this.#tls !== undefined) return;
    for (const socket of this.#undecided) socket.destroy();
  }

  /** Waits until connections over HTTP/2 have sent what they have in hand, at most `timeoutMs` milliseconds. */
  farewell(timeoutMs: number): Promise<void> {
    return this.#http2.farewell(timeoutMs);
  }

  /** Cuts every connection, but not those whose gRPC calls another server has still to end. */
  cutConnections(): void {
    this.#http1.cutConnections();
    this.#http2.cutConnections();
    for (const socket of this.#undecided) socket.destroy();
  }

  /** The server stops: answers whose clients come again by themselves do not begin any more. */
  stopBeginning(reason: ConnectError): void {
    this.#http1.stopping = reason;
    this.#http2.stopping = reason;
  }

  /** Resolves when no exchange is under way. */
  async idle(): Promise<void> {
    while (this.#http1.inFlight.size + this.#http2.inFlight.size > 0) {
      await Promise.all([this.#http1.idle(), this.#http2.idle()]);
    }
  }

  #acceptPlain(socket: Socket, serveHttp1: (socket: Socket) => void): void {
    readOpening(socket, this.#options.handshakeTimeoutMs, (opening) => {
      this.#undecided.delete(socket);
      if (socket.destroyed) return;
      if (opening === "h2") this.#http2.connect(socket);
      else if (opening === "http/1.1") serveHttp1(socket);
      else this.#http1.clientError(silence(), socket);
    });
  }

  #acceptTls(server: Server, tls: ServerTls, serveHttp1: (socket: Socket) => void): (socket: Socket) => void {
    const handshakes = tls.createServer((socket: TLSSocket) => {
      this.#undecided.delete(connectionUnder(socket));
      if (socket.alpnProtocol === "h2") this.#http2.connect(socket);
      else serveHttp1(socket);
    });
    server.once("listening", () => server.once("close", tls.follow(handshakes)));
    return (socket) => {
      handshakes.emit("connection", socket);
    };
  }
}

/** The connection that a server of TLS was given for `socket`: Node keeps it there, though not in its types. */
function connectionUnder(socket: TLSSocket): Socket {
  const { _parent: connection } = socket as unknown as { readonly _parent?: unknown };
  if (connection instanceof Socket) return connection;
  throw new Error("this version of Node does not keep the connection under TLS where it is known to be");
}

/** As Node's parser has it. */
function silence(): NodeJS.ErrnoException {
  return Object.assign(new Error("no request"), { code: "ERR_HTTP_REQUEST_TIMEOUT" });
}

/** The engine waits with its own end until a server is closed; connections with gRPC calls are another's to end. */
function letConnectionsOutlast(server: Server): void {
  const close = server.close.bind(server);
  server.close = (done) => {
    if (server.listening) close();
    if (done !== undefined) process.nextTick(done);
    return server;
  };
}
