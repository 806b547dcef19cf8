import type { IncomingMessage, Server } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ConnectError } from "../../../core/errors/errors.ts";
import { LiveSet } from "../../../core/call/live-set.ts";
import type { ErrorWriter } from "../../http/error-writer.ts";
import type { HttpError } from "../../http/http-error.ts";
import type { CompleteHead } from "../../http/response-head.ts";
import type { ExchangeHooks, ExchangeOwner } from "../live-exchange.ts";
import type { Http1Options } from "../http1-limits.ts";
import { parserError, writeToSocket } from "../../http/raw-reply.ts";
import { Http1Exchange } from "./http1-exchange.ts";
import { createHttp1Server } from "./http1-server.ts";
import { PipelineTurns } from "./pipeline-turns.ts";
import { RequestCheck } from "../request-check.ts";
import { asksForWebSocket } from "../../http/websocket-handshake.ts";
import { extractTargetHeaders } from "../../http/socket-headers.ts";
import { watchWrites } from "./write-watch.ts";

/** How many pipelined requests of one connection may wait before reading from it is paused. */
const maxWaiting = 64;

/** A request that waits for earlier ones of its connection. */
interface Arrived {
  readonly exchange: Http1Exchange;
  /** The refusal, if its head has caused one; undefined for requests that have not been checked yet. */
  readonly refusal: HttpError | undefined;
}

/** The state of one connection. */
interface Connection {
  /** The request in flight. */
  current: Http1Exchange | undefined;
  /** Pipelined requests after it: one connection has one request in flight. */
  readonly waiting: Arrived[];
  /**
   * Whether the first of those waits for a turn of the event loop: the connection is busy then, without a request in
   * flight.
   */
  queued: boolean;
  /** Whether the parser has failed: the rest of its bytes is not HTTP. */
  broken: boolean;
}

/**
 * The HTTP/1 connections of a port: refuses requests that are ambiguous or for another host (RFC 9112), serves
 * pipelined requests one after the other, and tracks all exchanges in flight.
 */
export class Http1Connections implements ExchangeOwner {
  stopping: ConnectError | undefined;
  readonly #options: Http1Options;
  readonly #errors: ErrorWriter;
  readonly completeHead: CompleteHead | undefined;
  readonly #onClose: ExchangeHooks["onClose"];
  readonly #check: RequestCheck;
  readonly #connections = new WeakMap<Duplex, Connection>();
  readonly #inFlight = new LiveSet<Http1Exchange>();
  readonly #servers = new Set<Server>();
  readonly #turns = new PipelineTurns<Socket>((socket) => this.#next(socket));
  #serve: (exchange: Http1Exchange) => void = () => {};
  #closing = false;

  constructor(options: Http1Options, errors: ErrorWriter, { onClose, completeHead }: ExchangeHooks) {
    this.#options = options;
    this.#errors = errors;
    this.#onClose = onClose;
    this.completeHead = completeHead;
    this.#check = new RequestCheck(options);
  }

  /** All exchanges in flight. */
  get inFlight(): LiveSet<Http1Exchange> {
    return this.#inFlight;
  }

  /**
   * Creates a server that passes valid requests to `serve`. The engine's own listener passes parser errors to
   * `clientError`.
   */
  createServer(serve: (exchange: Http1Exchange) => void): Server {
    this.#serve = serve;
    const server = createHttp1Server(this.#options, {
      request: (request, exchange, refusal) => this.#arrived(request, exchange, refusal),
      connect: (request, socket) => {
        const exchange = this.#detached(request, socket);
        if (exchange !== undefined) this.#arrived(request, exchange); // Refused like any method without a route.
      },
      isUpgrade: (request) => this.#isUpgrade(request),
      upgrade: (request, socket, head) => this.#upgrading(request, socket, head),
    });
    this.#servers.add(server);
    watchWrites(server, this.#inFlight, this.#options);
    return server;
  }

  /** Answers a connection whose bytes are not HTTP, and closes it. */
  clientError(error: NodeJS.ErrnoException, socket: Duplex): void {
    const connection = this.#connectionOf(socket);
    if (connection.broken) return;
    if (connection.queued && isHealthy(socket, error)) {
      // The valid request before the broken one is answered, although it has not begun yet.
      connection.waiting.length = 1;
      connection.waiting[0]?.exchange.closeAfter();
      connection.broken = true;
      return;
    }
    connection.broken = true;
    connection.waiting.length = 0;
    const { current } = connection;
    if (!isHealthy(socket, error) || current?.headersSent === true) {
      socket.destroy();
    } else if (current?.req.complete === true) {
      current.closeAfter(); // The valid request before the broken one is answered, as the last one of the connection.
    } else {
      writeToSocket(socket, this.#errors.toReply(parserError(error)), this.#options.lingerMs);
    }
  }

  /** From now on every response closes its connection. */
  closeConnections(): void {
    this.#closing = true;
    this.#turns.flush(); // Requests that wait for a turn of the event loop count as in flight.
    for (const exchange of this.#inFlight) exchange.closeAfter();
  }

  /** Accepts no more connections and closes those that are idle. */
  closeListeners(): void {
    for (const server of this.#servers) {
      if (server.listening) server.close();
      server.closeIdleConnections();
    }
  }

  /** Cuts every connection. */
  cutConnections(): void {
    for (const server of this.#servers) server.closeAllConnections();
    // Servers no longer track connections after a request for an upgrade.
    for (const { upgrade } of [...this.#inFlight]) upgrade?.socket.destroy();
  }

  /** Resolves when no exchange is in flight. */
  idle(): Promise<void> {
    return this.#inFlight.idle();
  }

  exchangeClosed(exchange: Http1Exchange): void {
    this.#inFlight.delete(exchange);
    this.#onClose?.(exchange);
    const { req } = exchange;
    const { socket } = req;
    if (!req.complete && !socket.destroyed) this.#linger(req);
    const connection = this.#connectionOf(socket);
    connection.current = undefined;
    if (!exchange.shouldKeepAlive || socket.destroyed) connection.waiting.length = 0;
    if (connection.waiting.length === 0) return;
    connection.queued = true;
    this.#turns.add(socket);
  }

  #connectionOf(socket: Duplex): Connection {
    let connection = this.#connections.get(socket);
    if (connection === undefined) {
      connection = { current: undefined, waiting: [], queued: false, broken: false };
      this.#connections.set(socket, connection);
    }
    return connection;
  }

  /** Whether a request upgrades its connection; a connection with pending answers cannot be upgraded. */
  #isUpgrade(request: IncomingMessage): boolean {
    return asksForWebSocket(request) && !isBusy(this.#connectionOf(request.socket));
  }

  /**
   * The exchange of a request whose connection Node has detached from its server; it is served like all others.
   * Undefined if the connection has pending answers, which Node can no longer send.
   */
  #detached(request: IncomingMessage, socket: Socket): Http1Exchange | undefined {
    socket.on("error", () => socket.destroy()); // Node has removed its own listener.
    if (isBusy(this.#connectionOf(socket))) {
      socket.destroy();
      return undefined;
    }
    const exchange = new Http1Exchange(request);
    exchange.shouldKeepAlive = false;
    exchange.assignSocket(socket);
    exchange.once("finish", () => {
      exchange.detachSocket(socket);
      exchange.emit("close");
      socket.resume();
      socket.end();
      const timer = setTimeout(() => socket.destroy(), this.#options.lingerMs);
      socket.once("close", () => clearTimeout(timer));
    });
    return exchange;
  }

  /** Serves a request for an upgrade, whose connection Node has detached from its server. */
  #upgrading(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const exchange = this.#detached(request, socket);
    if (exchange === undefined) return;
    if (!this.#isUpgrade(request)) {
      this.#arrived(request, exchange); // Older versions of Node emit "upgrade" without `shouldUpgradeCallback`.
      return;
    }
    const { url, headers, inFrame, problem } = extractTargetHeaders(request.url ?? "");
    request.url = url;
    exchange.upgrade = { request, socket, head, headers, headersInFrame: inFrame };
    this.#arrived(request, exchange, problem);
  }

  #arrived(request: IncomingMessage, exchange: Http1Exchange, refusal?: HttpError): void {
    const connection = this.#connectionOf(request.socket);
    if (connection.broken) return;
    const arrived = { exchange, refusal };
    if (!isBusy(connection)) {
      this.#begin(connection, arrived);
      return;
    }
    connection.waiting.push(arrived);
    if (connection.waiting.length === maxWaiting) request.socket.pause();
  }

  #next(socket: Socket): void {
    const connection = this.#connectionOf(socket);
    connection.queued = false;
    if (socket.destroyed) connection.waiting.length = 0;
    const arrived = connection.waiting.shift();
    if (connection.waiting.length === 0) socket.resume();
    if (arrived !== undefined) this.#begin(connection, arrived);
  }

  #begin(connection: Connection, { exchange, refusal: known }: Arrived): void {
    connection.current = exchange;
    exchange.begin(this);
    this.#inFlight.add(exchange);
    if (this.#closing) exchange.shouldKeepAlive = false;
    const refusal = known ?? this.#check.problem(exchange.req);
    if (refusal === undefined) this.#serve(exchange);
    else this.#refuse(exchange, refusal);
  }

  #refuse(exchange: Http1Exchange, refusal: HttpError): void {
    const { status, headers, body } = this.#errors.toReply(refusal);
    exchange.shouldKeepAlive = false;
    exchange.respond(status, headers, body);
  }

  /**
   * Reads and discards the body for a while, so that a refusal reaches a client that is still sending; then the
   * connection is closed.
   */
  #linger(request: IncomingMessage): void {
    const timer = setTimeout(() => {
      if (!request.complete) request.socket.destroy();
    }, this.#options.lingerMs);
    request.socket.once("close", () => clearTimeout(timer));
    request.once("end", () => clearTimeout(timer));
  }
}

/** Whether a connection has a request in flight or waiting. */
function isBusy({ current, queued }: Connection): boolean {
  return current !== undefined || queued;
}

/** Whether an answer can still be sent after the parser's error. */
function isHealthy(socket: Duplex, { code }: NodeJS.ErrnoException): boolean {
  return !socket.destroyed && socket.writable && code !== "ECONNRESET";
}
