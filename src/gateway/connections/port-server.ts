import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { ConnectError } from "../../core/errors/errors.ts";
import { ConnectionCount } from "../../core/net/connection-count.ts";
import type { ConnectionLimit, IdleConnection } from "../../core/net/connection-limit.ts";
import { type OpenConnection, OpenConnections } from "../../core/net/open-connections.ts";
import { connectToSource } from "../../core/net/port-source.ts";
import { setKeepalive } from "../../core/net/keepalive.ts";
import { readOpening } from "../../core/net/sniffer.ts";
import { ServerTls, type ServerTlsOptions } from "../../core/net/tls.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { ErrorWriter } from "../http/error-writer.ts";
import { requestTimeout } from "../http/raw-reply.ts";
import type { HttpExchange } from "../http/exchange.ts";
import type { CompleteHead } from "../http/response-head.ts";
import type { ChooseAnswer } from "./http1/fast-lane.ts";
import { Http1Connections } from "./http1/http1-connections.ts";
import { NodeUse } from "./http1/node-use.ts";
import type { ExchangeHooks, LiveExchange } from "./live-exchange.ts";
import { Http2Connections, type Http2Options } from "./http2/http2-connections.ts";
import type { Http2Side } from "./http2/http2-side.ts";
import { OwnHttp2Connections } from "./http2/own-http2-connections.ts";

/** Options of `PortServer`. */
export interface PortServerOptions extends Http2Options {
  /** Serves TLS. Undefined: plain text. */
  readonly tls: ServerTlsOptions | undefined;
  /** Limits the connections. Undefined: as many as the system allows. */
  readonly connectionLimit: ConnectionLimit | undefined;
}

/** Serves an exchange; `request` and `response` are the same exchange in Node's API, for Fastify. */
export type ServeExchange = (
  exchange: HttpExchange,
  request: IncomingMessage,
  response: ServerResponse,
) => void;

/**
 * The connections of a port: detects the protocol of each, with TLS by ALPN, without by its first bytes, and passes it
 * to `Http1Connections` or `Http2Connections`.
 */
export class PortServer {
  /** How many connections it has had. */
  readonly counts = new ConnectionCount("HTTP");
  readonly #options: PortServerOptions;
  readonly #http1: Http1Connections;
  #http2: Http2Side;
  readonly #tls: ServerTls | undefined;
  readonly #useNode: (serve: ServeExchange) => void;
  readonly #useOwn: (serve: (exchange: HttpExchange) => void) => Http2Side;
  /** Why HTTP/2 is not served by our own engine, one line for people; undefined if it is, and without a choice. */
  #engineLine: string | undefined;
  readonly #nodeUse = new NodeUse();
  /** Connections whose protocol is not known yet. */
  readonly #undecided = new Set<Socket>();
  /** The open connections; undefined where no part of the server lists them. */
  #open: OpenConnections | undefined;
  /** Connections that Node's parser reads, and since when they are open; kept where connections are limited. */
  readonly #ofNode = new Map<Socket, number>();

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

  /** Its TLS; undefined for plain text. */
  get tls(): ServerTls | undefined {
    return this.#tls;
  }

  /** From now on its connections can be listed. @returns lists them */
  listConnections(): () => readonly OpenConnection[] {
    const open = (this.#open ??= new OpenConnections());
    this.#http1.upgraded = (socket) => {
      open.speaks(socket instanceof TLSSocket ? connectionUnder(socket) : socket, "WebSocket");
    };
    return () => open.list();
  }

  /** All exchanges in flight. */
  get inFlight(): readonly LiveExchange[] {
    return [...this.#http1.inFlight, ...this.#http2.inFlight];
  }

  /**
   * Creates a server that passes valid requests of both versions to `serve`.
   *
   * @param choose chooses what answers a request of the fast lane, where there is one
   */
  createServer(serve: ServeExchange, choose: ChooseAnswer): Server {
    const { connectionLimit: limit } = this.#options;
    const server = this.#http1.createServer((exchange) => serve(exchange, exchange.req, exchange));
    this.#useNode(serve);
    // Node's own listener for HTTP/1 connections is called by `serveHttp1` only.
    const [http1] = server.listeners("connection");
    if (http1 === undefined)
      throw new Error("this version of Node listens to connections in an unsupported way");
    server.removeAllListeners("connection");
    const serveNode = (socket: Socket): void => {
      void socket.remoteAddress; // Node caches it: after a reset it could not be read any more.
      if (limit !== undefined) this.#watchNode(socket);
      http1.call(server, socket);
    };
    const serveHttp1 = this.#options.fastLane
      ? this.#http1.fastLane(choose, serveNode, this.#nodeUse)
      : serveNode;
    const accept =
      this.#tls === undefined
        ? (socket: Socket): void => this.#acceptPlain(socket, serveHttp1)
        : this.#acceptTls(server, this.#tls, serveHttp1);
    if (limit !== undefined) this.#limit(server, limit);
    server.on("connection", (socket: Socket) => {
      socket.on("error", () => {}); // The `close` event that follows reports a broken connection.
      if (limit?.admits(socket) === false) {
        this.counts.refuse(limit.refusedBy);
        return;
      }
      this.#undecided.add(socket);
      this.#open?.opened(socket, this.#tls !== undefined);
      this.counts.opened();
      socket.once("close", () => {
        this.#undecided.delete(socket);
        this.counts.closed();
      });
      setKeepalive(socket, this.#options);
      accept(socket);
    });
    connectToSource(server, "HTTP");
    if (this.#options.grpc !== undefined) closeWithoutWaiting(server);
    return server;
  }

  #limit(server: Server, limit: ConnectionLimit): void {
    const leave = limit.add(() => this.#idleConnections());
    server.once("close", leave);
    server.on("error", () => limit.outOfFiles()); // What fails once it listens is accepting.
    server.on("upgrade", ({ socket }) => void this.#ofNode.delete(socket)); // It has a call until it closes.
  }

  #watchNode(socket: Socket): void {
    this.#ofNode.set(socket, performance.now());
    socket.once("close", () => this.#ofNode.delete(socket));
  }

  *#idleConnections(): Iterable<IdleConnection> {
    yield* this.#http1.idleConnections();
    yield* this.#http2.idleConnections();
    for (const [socket, sinceMs] of this.#ofNode) {
      const isIdle = (): boolean =>
        this.#ofNode.has(socket) && !socket.destroyed && !this.#http1.isBusy(socket);
      if (isIdle()) yield { sinceMs, closeIfIdle: () => isIdle() && socket.destroy() === socket };
    }
  }

  /** From now on what is done with `server`, the first one that was created, is done by the application. */
  watch(server: Server): void {
    this.#nodeUse.watch(server);
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
    const isForNode = grpc !== undefined && grpc.acceptOwnStream === undefined;
    const hindrance = fastify ?? (isForNode ? "the option `grpc` takes streams of node:http2" : undefined);
    if (hindrance === undefined) {
      this.#http2 = this.#useOwn(serve);
    } else if (engine === "own") {
      throw new SetupError(`HTTP: \`engine: "own"\` cannot serve HTTP/2: ${hindrance}`);
    } else {
      this.#engineLine = `HTTP/2 is served by node:http2: ${hindrance}`;
    }
  }

  /** Completes the heads of later answers by another function; undefined for none. */
  completeHeads(completeHead: CompleteHead | undefined): void {
    this.#http1.completeHead = completeHead;
    this.#http2.completeHead = completeHead;
  }

  /** Lines for people: why HTTP/2 is not served by our own engine, and why the fast lane stands aside. */
  describe(): string[] {
    const lines = this.#engineLine === undefined ? [] : [this.#engineLine];
    const why = this.#options.fastLane ? this.#nodeUse.whyConnections : undefined;
    if (why !== undefined) lines.push(`every request over HTTP/1.1 is read by node:http: ${why}`);
    return lines;
  }

  /** Answers an HTTP/1 connection whose bytes are not HTTP, and closes it. */
  clientError(error: NodeJS.ErrnoException, socket: Socket): void {
    this.#http1.clientError(error, socket);
  }

  /** Connections that are open now close after their next response, or get GOAWAY. */
  closeConnections(): void {
    this.#http1.closeConnections();
    this.#http2.goAway();
  }

  /** Accepts no more connections; those that are open are served. */
  stopAccepting(): void {
    this.#http1.stopAccepting();
  }

  /**
   * Accepts no more connections and closes those that are idle. Pending TLS handshakes may complete, since their
   * clients are about to send a request; `cutConnections` closes the rest.
   *
   * @param graceMs how long the server waits for requests, in milliseconds
   */
  closeListeners(graceMs: number): void {
    this.#http1.closeListeners();
    this.#http2.stop(graceMs);
    if (this.#tls !== undefined) return;
    for (const socket of this.#undecided) socket.destroy();
  }

  /**
   * Resolves when HTTP/2 connections have sent their buffered bytes and are closed, or after `timeoutMs` milliseconds.
   */
  http2Disconnected(timeoutMs: number): Promise<void> {
    return this.#http2.disconnected(timeoutMs);
  }

  /** Destroys all connections, except those with gRPC calls, which the gRPC server ends. */
  cutConnections(): void {
    this.#http1.cutConnections();
    this.#http2.cutConnections();
    for (const socket of this.#undecided) socket.destroy();
  }

  /** The server stops: from now on answers that clients reopen by themselves do not begin. */
  stopBeginning(reason: ConnectError): void {
    this.#http1.stopping = reason;
    this.#http2.stopping = reason;
  }

  /** Resolves when no exchange is in flight, and after `closeListeners` every client is asked to leave. */
  async idle(): Promise<void> {
    do {
      await Promise.all([this.#http1.idle(), this.#http2.idle()]);
    } while (this.#http1.inFlight.size + this.#http2.inFlight.size > 0);
  }

  #acceptPlain(socket: Socket, serveHttp1: (socket: Socket) => void): void {
    readOpening(socket, this.#options.handshakeTimeoutMs, (opening) => {
      this.#undecided.delete(socket);
      if (socket.destroyed) return;
      if (opening !== "silent") this.#open?.speaks(socket, protocolNames[opening]);
      if (opening === "h2") this.#http2.connect(socket);
      else if (opening === "http/1.1") serveHttp1(socket);
      else this.#http1.clientError(requestTimeout(), socket);
    });
  }

  #acceptTls(server: Server, tls: ServerTls, serveHttp1: (socket: Socket) => void): (socket: Socket) => void {
    const handshakes = tls.createServer((socket: TLSSocket) => {
      const connection = connectionUnder(socket);
      this.#undecided.delete(connection);
      this.#open?.speaks(connection, protocolNames[socket.alpnProtocol === "h2" ? "h2" : "http/1.1"]);
      if (socket.alpnProtocol === "h2") this.#http2.connect(socket);
      else serveHttp1(socket);
    });
    server.once("listening", () => server.once("close", tls.follow(handshakes)));
    return (socket) => {
      handshakes.emit("connection", socket);
    };
  }
}

const protocolNames = { h2: "HTTP/2", "http/1.1": "HTTP/1.1" } as const;

/** The TCP connection under a TLS socket; Node keeps it in a property that its types do not declare. */
function connectionUnder(socket: TLSSocket): Socket {
  const { _parent: connection } = socket as unknown as { readonly _parent?: unknown };
  if (connection instanceof Socket) return connection;
  throw new Error("this version of Node keeps the connection under TLS in an unsupported place");
}

/**
 * Makes `close` of the server call back at once: Fastify waits for it when it closes, but connections with gRPC calls
 * stay open until the gRPC server ends them.
 */
function closeWithoutWaiting(server: Server): void {
  const close = server.close.bind(server);
  server.close = (done) => {
    if (server.listening) close();
    if (done !== undefined) process.nextTick(done);
    return server;
  };
}
