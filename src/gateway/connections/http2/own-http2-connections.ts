import type { IdleConnection } from "../../../core/net/connection-limit.ts";
import type { Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { LiveSet } from "../../../core/call/live-set.ts";
import type { ConnectError } from "../../../core/errors/errors.ts";
import type { IncomingRequest } from "../../../core/http2/incoming-request.ts";
import { leaveInTurn, type Turn } from "../../../core/http2/session-turns.ts";
import {
  ServerSession,
  type ServerSessionListener,
  type ServerSessionOptions,
} from "../../../core/http2/server-session.ts";
import type { ServerStream } from "../../../core/http2/server-stream.ts";
import type { GuestClient } from "../../../core/http2/session-limits.ts";
import { identityOf, type PeerIdentity } from "../../../core/metadata/peer-identity.ts";
import { type ErrorWriter, setFailure } from "../../http/error-writer.ts";
import type { HttpExchange } from "../../http/exchange.ts";
import type { CompleteHead } from "../../http/response-head.ts";
import type { ExchangeHooks, ExchangeOwner, LiveExchange } from "../live-exchange.ts";
import { RequestCheck } from "../request-check.ts";
import { type Http2Options, isForGrpcEngine } from "./http2-connections.ts";
import type { Http2Side } from "./http2-side.ts";
import { OpenStreams } from "./open-streams.ts";
import { OwnHttp2Exchange } from "./own-http2-exchange.ts";

/** The HTTP/2 beside `Http1Connections`, by our own engine: for servers all of whose requests pass Fastify by. */
export class OwnHttp2Connections implements Http2Side, ExchangeOwner {
  readonly inFlight = new LiveSet<LiveExchange>();
  stopping: ConnectError | undefined;
  completeHead: CompleteHead | undefined;
  readonly onHead: ExchangeHooks["onHead"];
  readonly #options: Http2Options;
  readonly #errors: ErrorWriter;
  readonly #onClose: ExchangeHooks["onClose"];
  readonly #check: RequestCheck;
  readonly #serve: (exchange: HttpExchange) => void;
  readonly #clients = new Set<OwnClient>();
  #stopped = false;
  /** The asking of clients to leave; undefined before a drain. */
  #leaving: Turn | undefined;

  /** @param serve gets every good request */
  constructor(
    options: Http2Options,
    errors: ErrorWriter,
    { onClose, completeHead, onHead }: ExchangeHooks,
    serve: (exchange: HttpExchange) => void,
  ) {
    this.completeHead = completeHead;
    this.onHead = onHead;
    this.#options = options;
    this.#errors = errors;
    this.#onClose = onClose;
    this.#check = new RequestCheck(options);
    this.#serve = serve;
  }

  connect(socket: Socket): void {
    socket.allowHalfOpen = false;
    const client = new OwnClient(socket, this.#options, {
      onRequest: (stream, request) => this.#onRequest(stream, request, client),
      onClose: () => void this.#clients.delete(client),
    });
    this.#clients.add(client);
    if (this.#stopped) client.session.drain();
  }

  *idleConnections(): Iterable<IdleConnection> {
    for (const { session } of this.#clients) {
      const sinceMs = session.idleSinceMs;
      if (sinceMs !== undefined) yield { sinceMs, closeIfIdle: () => session.closeIfIdle() };
    }
  }

  goAway(): void {
    this.#askToLeave(Infinity);
  }

  stop(graceMs: number): void {
    this.#stopped = true;
    this.#askToLeave(graceMs);
  }

  #askToLeave(graceMs: number): void {
    this.#leaving?.stop();
    const sessions = [...this.#clients].map(({ session }) => session);
    this.#leaving = leaveInTurn(sessions, graceMs);
  }

  async disconnected(timeoutMs: number): Promise<void> {
    const closing = [...this.#clients].filter(({ calls }) => !calls.isAnyOpen);
    if (closing.length === 0) return;
    const timer = new AbortController();
    await Promise.race([
      Promise.all(closing.map(({ closed }) => closed)),
      wait(timeoutMs, undefined, { signal: timer.signal }).catch(() => {}),
    ]);
    timer.abort();
  }

  cutConnections(): void {
    for (const client of this.#clients) if (!client.calls.isAnyOpen) client.cut();
  }

  async idle(): Promise<void> {
    await this.#leaving?.done;
    await this.inFlight.idle();
  }

  exchangeClosed(exchange: LiveExchange): void {
    this.inFlight.delete(exchange);
    this.#onClose?.(exchange);
  }

  #onRequest(stream: ServerStream, request: IncomingRequest, client: OwnClient): void {
    const { grpc } = this.#options;
    if (grpc?.acceptOwnStream === undefined || !isForGrpcEngine(request.fields)) {
      this.#begin(stream, request, client);
      return;
    }
    client.calls.add(stream);
    grpc.acceptOwnStream(stream, request, client);
  }

  #begin(stream: ServerStream, request: IncomingRequest, client: OwnClient): void {
    const exchange = new OwnHttp2Exchange(stream, request, this, client);
    this.inFlight.add(exchange);
    const refusal = this.#check.http2Problem(request.fields, request.rawFields);
    if (refusal !== undefined) {
      setFailure(exchange.head, refusal);
      const { status, headers, body } = this.#errors.toReply(refusal);
      exchange.respond(status, headers, body);
      return;
    }
    this.#serve(exchange);
  }
}

/** A connection and its client. */
class OwnClient implements GuestClient {
  readonly peer: PeerIdentity | undefined;
  readonly socket: Socket;
  readonly session: ServerSession;
  /** The gRPC calls. */
  readonly calls = new OpenStreams();

  constructor(socket: Socket, options: ServerSessionOptions, listener: ServerSessionListener) {
    this.peer = identityOf(socket);
    this.socket = socket;
    this.session = new ServerSession(socket, options, listener);
  }

  get closed(): Promise<void> {
    return this.session.closed;
  }

  cut(): void {
    this.session.destroy();
  }
}
