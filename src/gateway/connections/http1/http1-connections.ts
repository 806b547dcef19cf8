import type { IdleConnection } from "../../../core/net/connection-limit.ts";
import type { IncomingMessage, Server } from "node:http";
import { Server as NetServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ConnectError } from "../../../core/errors/errors.ts";
import { LiveSet } from "../../../core/call/live-set.ts";
import { type ErrorWriter, setFailure } from "../../http/error-writer.ts";
import type { HttpError } from "../../http/http-error.ts";
import type { CompleteHead } from "../../http/response-head.ts";
import type { ExchangeHooks, ExchangeOwner } from "../live-exchange.ts";
import type { Http1Options } from "../http1-limits.ts";
import { parserError, writeToSocket } from "../../http/raw-reply.ts";
import { FastExchange } from "./fast-exchange.ts";
import { type ChooseAnswer, FastLane } from "./fast-lane.ts";
import type { LaneExchange } from "./http1-connection.ts";
import { Http1Exchange } from "./http1-exchange.ts";
import { createHttp1Server } from "./http1-server.ts";
import type { NodeUse } from "./node-use.ts";
import { Pipelines } from "./pipelines.ts";
import type { TurnExchange } from "./turn-exchange.ts";
import { RequestCheck } from "../request-check.ts";
import { asksForWebSocket } from "../../http/websocket-handshake.ts";
import { extractTargetHeaders } from "../../http/socket-headers.ts";
import { watchWrites } from "./write-watch.ts";

/**
 * The HTTP/1 connections of a port: refuses requests that are ambiguous or for another host (RFC 9112) and tracks all
 * exchanges in flight. `Pipelines` serves those of one connection one after the other.
 */
export class Http1Connections implements ExchangeOwner {
  stopping: ConnectError | undefined;
  /** Called with connections that become WebSockets, or may; undefined where their protocols are not listed. */
  upgraded: ((socket: Socket) => void) | undefined;
  readonly #options: Http1Options;
  readonly #errors: ErrorWriter;
  completeHead: CompleteHead | undefined;
  readonly onHead: ExchangeHooks["onHead"];
  readonly #onClose: ExchangeHooks["onClose"];
  readonly #check: RequestCheck;
  readonly #pipelines = new Pipelines({
    begin: (exchange, refusal) => this.#begin(exchange, refusal),
    endWith: (error, socket) =>
      writeToSocket(socket, this.#errors.toReply(parserError(error)), this.#options.lingerMs),
  });
  readonly #inFlight = new LiveSet<LaneExchange>();
  readonly #servers = new Set<Server>();
  readonly #lanes = new Set<FastLane>();
  #serve: (exchange: Http1Exchange) => void = () => {};
  #closing = false;

  constructor(options: Http1Options, errors: ErrorWriter, { onClose, completeHead, onHead }: ExchangeHooks) {
    this.#options = options;
    this.#errors = errors;
    this.#onClose = onClose;
    this.completeHead = completeHead;
    this.onHead = onHead;
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
      request: (request, exchange, refusal) => this.#pipelines.arrived(request.socket, exchange, refusal),
      connect: (request, socket) => {
        const exchange = this.#detached(request, socket);
        // Refused like any method without a route.
        if (exchange !== undefined) this.#pipelines.arrived(request.socket, exchange, undefined);
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
    const lane = new FastLane(this.#options, {
      choose,
      toNode,
      use,
      check: this.#check,
      owner: this.#pipelines,
    });
    this.#lanes.add(lane);
    return (socket) => lane.connect(socket);
  }

  /** Answers a connection whose bytes are not HTTP, and closes it. */
  clientError(error: NodeJS.ErrnoException, socket: Duplex): void {
    this.#pipelines.clientError(error, socket);
  }

  /** The connections of the fast lane without a request. */
  *idleConnections(): Iterable<IdleConnection> {
    for (const lane of this.#lanes) yield* lane.idle();
  }

  /** Whether a connection owes an answer. */
  isBusy(socket: Socket): boolean {
    return this.#pipelines.isBusy(socket);
  }

  /** From now on every response closes its connection. */
  closeConnections(): void {
    this.#closing = true;
    this.#pipelines.flush(); // Requests that wait for a turn of the event loop count as in flight.
    for (const exchange of this.#inFlight) exchange.closeAfter();
  }

  /** Accepts no more connections; those that are idle stay. */
  stopAccepting(): void {
    for (const server of this.#servers) {
      if (server.listening) NetServer.prototype.close.call(server); // Of HTTP it would close idle connections.
    }
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

  exchangeClosed(exchange: LaneExchange): void {
    this.#inFlight.delete(exchange);
    this.#onClose?.(exchange);
    if (!exchange.requestComplete && !exchange.carrier.destroyed) this.#linger(exchange);
    this.#pipelines.closed(exchange);
  }

  /** Whether a request upgrades its connection; a connection with pending answers cannot be upgraded. */
  #isUpgrade(request: IncomingMessage): boolean {
    return asksForWebSocket(request) && !this.#pipelines.isBusy(request.socket);
  }

  /**
   * The exchange of a request whose connection Node has detached from its server; it is served like all others.
   * Undefined if the connection has pending answers, which Node can no longer send.
   */
  #detached(request: IncomingMessage, socket: Socket): Http1Exchange | undefined {
    socket.on("error", () => socket.destroy()); // Node has removed its own listener.
    if (this.#pipelines.isBusy(socket)) {
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
      this.#pipelines.arrived(request.socket, exchange, undefined); // Older versions of Node emit "upgrade" without `shouldUpgradeCallback`.
      return;
    }
    this.upgraded?.(socket);
    const { url, headers, inFrame, problem } = extractTargetHeaders(request.url ?? "");
    request.url = url;
    exchange.upgrade = { request, socket, head, headers, headersInFrame: inFrame };
    this.#pipelines.arrived(request.socket, exchange, problem);
  }

  #begin(exchange: LaneExchange, known: HttpError | undefined): void {
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
    setFailure(exchange.head, refusal);
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
    const read = (): void => {
      clearTimeout(timer);
      carrier.off("close", read); // The connection may go on to further requests.
    };
    carrier.once("close", read);
    exchange.body.once("end", read);
  }
}
