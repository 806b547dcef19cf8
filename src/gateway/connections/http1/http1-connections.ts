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
import { parserError, requestTimeout, writeToSocket } from "../../http/raw-reply.ts";
import { FastExchange } from "./fast-exchange.ts";
import { type ChooseAnswer, FastLane, type FastOwner } from "./fast-lane.ts";
import { ConnectionStates, type Http1Connection, type LaneExchange } from "./http1-connection.ts";
import { Http1Exchange } from "./http1-exchange.ts";
import { createHttp1Server } from "./http1-server.ts";
import type { NodeUse } from "./node-use.ts";
import { PipelineTurns } from "./pipeline-turns.ts";
import type { TurnExchange } from "./turn-exchange.ts";
import { RequestCheck } from "../request-check.ts";
import { asksForWebSocket } from "../../http/websocket-handshake.ts";
import { extractTargetHeaders } from "../../http/socket-headers.ts";
import { watchWrites } from "./write-watch.ts";

/** How many pipelined requests of one connection may wait before reading from it is paused. */
const maxWaiting = 64;

/**
 * The HTTP/1 connections of a port: refuses requests that are ambiguous or for another host (RFC 9112), serves
 * pipelined requests one after the other, and tracks all exchanges in flight.
 */
export class Http1Connections implements ExchangeOwner, FastOwner {
  stopping: ConnectError | undefined;
  readonly #options: Http1Options;
  readonly #errors: ErrorWriter;
  readonly completeHead: CompleteHead | undefined;
  readonly #onClose: ExchangeHooks["onClose"];
  readonly #check: RequestCheck;
  readonly #connections = new ConnectionStates();
  readonly #inFlight = new LiveSet<LaneExchange>();
  readonly #servers = new Set<Server>();
  readonly #turns = new PipelineTurns<Socket>((socket) => this.#next(socket));
  readonly #lanes = new Set<FastLane>();
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
  get inFlight(): LiveSet<LaneExchange> {
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
      continueBody: (request, exchange) => {
        // Node does not know that a request of the fast lane is in flight, and would write into its answer.
        if (this.#connections.of(request.socket).isBusy) exchange.continuesLater = true;
        else exchange.writeContinue();
      },
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

  /**
   * Makes a fast lane for the connections of a server.
   *
   * @param choose chooses what answers a request whole; undefined for a request that is not for this lane
   * @param toNode gives a connection to Node's parser
   * @param use what the application does with Node's server
   * @returns what takes a connection
   */
  fastLane(choose: ChooseAnswer, toNode: (socket: Socket) => void, use: NodeUse): (socket: Socket) => void {
    const lane = new FastLane(this.#options, { choose, toNode, use, check: this.#check, owner: this });
    this.#lanes.add(lane);
    return (socket) => lane.connect(socket);
  }

  /** Answers a connection whose bytes are not HTTP, and closes it. */
  clientError(error: NodeJS.ErrnoException, socket: Duplex): void {
    const connection = this.#connections.of(socket);
    if (connection.broken) return;
    connection.broken = true;
    const { current, waiting } = connection;
    if (!isHealthy(socket, error)) {
      waiting.length = 0;
      socket.destroy();
      return;
    }
    if (current instanceof FastExchange) current.write(); // What is ready comes before what ends the connection.
    const isBetween = current === undefined || (current.writableEnded && current.requestComplete);
    if (isBetween && current?.shouldKeepAlive === false) {
      waiting.length = 0; // That answer ends the connection.
    } else if (isBetween && waiting.length > 0) {
      // The valid request before the broken one is answered, although it has not begun yet.
      waiting.length = 1;
      waiting[0]?.exchange.closeAfter();
    } else {
      waiting.length = 0;
      if (!isBetween && current.headersSent) socket.destroy();
      // The valid request before the broken one is answered, as the last one of the connection.
      else if (!isBetween && current.requestComplete) current.closeAfter();
      else writeToSocket(socket, this.#errors.toReply(parserError(error)), this.#options.lingerMs);
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
    for (const lane of this.#lanes) lane.closeIdle();
  }

  /** Cuts every connection. */
  cutConnections(): void {
    for (const server of this.#servers) server.closeAllConnections();
    for (const lane of this.#lanes) lane.cut();
    // Servers no longer track connections after a request for an upgrade.
    for (const { upgrade } of [...this.#inFlight]) upgrade?.socket.destroy();
  }

  /** Resolves when no exchange is in flight. */
  idle(): Promise<void> {
    return this.#inFlight.idle();
  }

  /** A request of the fast lane has arrived. */
  fastArrived(exchange: FastExchange): void {
    const connection = this.#connections.of(exchange.carrier);
    if (connection.broken) return;
    if (connection.isBusy) connection.waiting.push({ exchange, refusal: undefined });
    else this.#begin(connection, exchange, undefined);
  }

  /** How many requests of a connection wait for their turn behind the one in flight. */
  waiting(socket: Socket): number {
    return this.#connections.of(socket).waiting.length;
  }

  /** `readOn` is called when no request of a connection waits any more. */
  whenNoneWaits(socket: Socket, readOn: () => void): void {
    this.#connections.of(socket).readOn = readOn;
  }

  /** A connection goes to Node's parser with the beginning of a head, the rest of which has to come in time. */
  expectHead(socket: Socket, timeoutMs: number): void {
    const connection = this.#connections.of(socket);
    connection.headTimer = setTimeout(() => this.clientError(requestTimeout(), socket), timeoutMs);
    socket.once("close", () => clearTimeout(connection.headTimer));
  }

  exchangeClosed(exchange: LaneExchange): void {
    this.#inFlight.delete(exchange);
    this.#onClose?.(exchange);
    const { carrier: socket } = exchange;
    if (!exchange.requestComplete && !socket.destroyed) this.#linger(exchange);
    const connection = this.#connections.of(socket);
    connection.current = undefined;
    if (!exchange.shouldKeepAlive || socket.destroyed) connection.waiting.length = 0;
    if (connection.waiting.length === 0) return;
    connection.queued = true;
    this.#turns.add(socket);
  }

  /** Whether a request upgrades its connection; a connection with pending answers cannot be upgraded. */
  #isUpgrade(request: IncomingMessage): boolean {
    return asksForWebSocket(request) && !this.#connections.of(request.socket).isBusy;
  }

  /**
   * The exchange of a request whose connection Node has detached from its server; it is served like all others.
   * Undefined if the connection has pending answers, which Node can no longer send.
   */
  #detached(request: IncomingMessage, socket: Socket): Http1Exchange | undefined {
    socket.on("error", () => socket.destroy()); // Node has removed its own listener.
    if (this.#connections.of(socket).isBusy) {
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
    const connection = this.#connections.of(request.socket);
    if (connection.broken) return;
    clearTimeout(connection.headTimer);
    if (!connection.isBusy) {
      this.#begin(connection, exchange, refusal);
      return;
    }
    connection.waiting.push({ exchange, refusal });
    if (connection.waiting.length === maxWaiting) request.socket.pause();
  }

  #next(socket: Socket): void {
    const connection = this.#connections.of(socket);
    connection.queued = false;
    if (socket.destroyed) connection.waiting.length = 0;
    const arrived = connection.waiting.shift();
    const { readOn } = connection;
    if (connection.waiting.length === 0 && readOn === undefined) socket.resume();
    if (arrived !== undefined) this.#begin(connection, arrived.exchange, arrived.refusal);
    if (connection.waiting.length > 0 || readOn === undefined) return;
    connection.readOn = undefined;
    readOn();
  }

  #begin(connection: Http1Connection, exchange: LaneExchange, known: HttpError | undefined): void {
    connection.current = exchange;
    exchange.begin(this);
    this.#inFlight.add(exchange);
    if (this.#closing) exchange.shouldKeepAlive = false;
    if (exchange instanceof FastExchange) {
      exchange.serve(); // What it is, was looked at when it arrived.
      return;
    }
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
  #linger(exchange: TurnExchange): void {
    const { carrier } = exchange;
    const timer = setTimeout(() => {
      if (!exchange.requestComplete) carrier.destroy();
    }, this.#options.lingerMs);
    carrier.once("close", () => clearTimeout(timer));
    exchange.body.once("end", () => clearTimeout(timer));
  }
}

/** Whether an answer can still be sent after the parser's error. */
function isHealthy(socket: Duplex, { code }: NodeJS.ErrnoException): boolean {
  return !socket.destroyed && socket.writable && code !== "ECONNRESET";
}
