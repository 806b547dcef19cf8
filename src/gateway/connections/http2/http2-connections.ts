import type { IdleConnection } from "../../../core/net/connection-limit.ts";
import {
  constants,
  createServer,
  Http2ServerRequest,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import type { ConnectError } from "../../../core/errors/errors.ts";
import { LiveSet } from "../../../core/call/live-set.ts";
import { SessionLimits, type StreamServer } from "../../../core/http2/session-limits.ts";
import { announcedStreams } from "../../../core/http2/stream-turns.ts";
import { type ErrorWriter, setFailure } from "../../http/error-writer.ts";
import type { HttpError } from "../../http/http-error.ts";
import type { CompleteHead } from "../../http/response-head.ts";
import type { ExchangeHooks, ExchangeOwner, LiveExchange } from "../live-exchange.ts";
import type { Http1Options } from "../http1-limits.ts";
import { Http2Exchange } from "../http2-exchange.ts";
import type { Http2Limits } from "../http2-limits.ts";
import type { Http2Side } from "./http2-side.ts";
import { RequestCheck } from "../request-check.ts";
import { watchPulse } from "./session-pulse.ts";

/** Options of `Http2Connections`. */
export interface Http2Options extends Http1Options, Http2Limits {
  /** Serves the streams whose content type is gRPC. Undefined: they are served like all other requests. */
  readonly grpc: StreamServer | undefined;
  /** Which engine serves HTTP/2: `node:http2`, our own, or our own where nothing is in its way. */
  readonly engine: "auto" | "own" | "node";
}

/** Node resets a stream with more header fields or bytes than this, without an answer. */
const unanswered = { headerFields: 2000, headerBytes: 65_535 };

/** An upper bound of the unsent bytes of a streamed answer. */
const chunkBytes = 128 * 1024;

const grpcType = /^application\/grpc(?:\+proto)?\s*(?:;|$)/i;

/** The state of one connection. */
interface Session {
  readonly limits: SessionLimits;
  /** Open streams, including those of gRPC. */
  streams: number;
  grpcStreams: number;
}

/**
 * The HTTP/2 connections of a port: creates sessions with safe limits, refuses requests that are ambiguous or for
 * another host, passes streams of gRPC to the gRPC server, and tracks all exchanges in flight. It passes requests on
 * with the headers that they would have over HTTP/1.
 */
export class Http2Connections implements Http2Side, ExchangeOwner {
  readonly inFlight = new LiveSet<LiveExchange>();
  stopping: ConnectError | undefined;
  readonly #options: Http2Options;
  readonly #errors: ErrorWriter;
  completeHead: CompleteHead | undefined;
  readonly onHead: ExchangeHooks["onHead"];
  readonly #onClose: ExchangeHooks["onClose"];
  readonly #check: RequestCheck;
  readonly #server: Http2Server;
  readonly #sessions = new Map<ServerHttp2Session, Session>();
  #serve: (exchange: Http2Exchange) => void = () => {};
  #connecting: Socket | undefined;
  #stopped = false;

  constructor(options: Http2Options, errors: ErrorWriter, { onClose, completeHead, onHead }: ExchangeHooks) {
    this.completeHead = completeHead;
    this.onHead = onHead;
    this.#options = options;
    this.#errors = errors;
    this.#onClose = onClose;
    this.#check = new RequestCheck(options);
    this.#server = createServer({
      maxSessionMemory: Math.max(1, options.maxSessionMemoryBytes / 1_000_000), // In megabytes.
      maxHeaderListPairs: unanswered.headerFields,
      settings: {
        maxConcurrentStreams: announcedStreams(options.maxConcurrentStreams),
        maxHeaderListSize: unanswered.headerBytes,
      },
    });
    this.#server.on("session", this.#onSession);
    this.#server.on("stream", this.#onStream);
    this.#server.on("sessionError", () => {}); // The `close` event that follows reports a broken connection.
  }

  /** From now on valid requests are passed to `serve`. */
  use(serve: (exchange: Http2Exchange) => void): void {
    this.#serve = serve;
  }

  /** Serves a connection that speaks HTTP/2. */
  connect(socket: Socket): void {
    socket.allowHalfOpen = false;
    this.#connecting = socket;
    this.#server.emit("connection", socket); // Creates the session synchronously.
    this.#connecting = undefined;
  }

  /** Sends GOAWAY to every client; each connection closes with its last stream. */
  idleConnections(): Iterable<IdleConnection> {
    return [];
  }

  goAway(): void {
    for (const session of this.#sessions.keys()) session.close();
  }

  /** As `goAway`, also for later connections. */
  stop(): void {
    this.#stopped = true;
    this.goAway();
  }

  /**
   * Resolves when the connections without gRPC calls have sent their buffered bytes and are closed after their GOAWAY,
   * or after `timeoutMs` milliseconds. A stream can close before its last bytes are sent.
   */
  async disconnected(timeoutMs: number): Promise<void> {
    const closing = [...this.#sessions].filter(([, { grpcStreams }]) => grpcStreams === 0);
    if (closing.length === 0) return;
    const timer = new AbortController();
    await Promise.race([
      Promise.all(closing.map(([session]) => new Promise((resolve) => session.once("close", resolve)))),
      wait(timeoutMs, undefined, { signal: timer.signal }).catch(() => {}),
    ]);
    timer.abort();
  }

  /** Destroys all connections, except those with gRPC calls, which the gRPC server ends. */
  cutConnections(): void {
    for (const { limits, grpcStreams } of this.#sessions.values()) if (grpcStreams === 0) limits.cut();
  }

  /** Resolves when no exchange is in flight. */
  idle(): Promise<void> {
    return this.inFlight.idle();
  }

  exchangeClosed(exchange: LiveExchange): void {
    this.inFlight.delete(exchange);
    this.#onClose?.(exchange);
  }

  readonly #onSession = (session: ServerHttp2Session): void => {
    const limits = new SessionLimits(session, this.#options, this.#connecting);
    const known: Session = { limits, streams: 0, grpcStreams: 0 };
    const { heartbeatMs, keepAliveTimeoutMs } = this.#options;
    this.#sessions.set(session, known);
    session.once("close", () => this.#sessions.delete(session));
    session.setTimeout(keepAliveTimeoutMs, () => {
      if (known.streams === 0 && !session.destroyed) session.close();
    });
    watchPulse(session, { heartbeatMs, busy: () => known.streams > 0, onLost: () => limits.cut() });
    if (this.#stopped) session.close();
  };

  readonly #onStream = (
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    flags: number,
    rawHeaders: string[],
  ): void => {
    const session = this.#sessions.get(stream.session as ServerHttp2Session); // Streams of a server have one.
    if (session === undefined) {
      stream.on("error", () => {}); // The connection broke before its stream was reported.
      return;
    }
    session.limits.active();
    session.streams++;
    stream.once("close", () => session.streams--);
    const { turns } = session.limits;
    if (turns.admit(stream)) this.#serveStream(session, stream, headers, flags, rawHeaders);
    else turns.wait(stream, () => this.#serveStream(session, stream, headers, flags, rawHeaders));
  };

  #serveStream(
    session: Session,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    flags: number,
    rawHeaders: string[],
  ): void {
    const { grpc } = this.#options;
    if (grpc !== undefined && isForGrpcEngine(headers)) {
      session.grpcStreams++;
      stream.once("close", () => session.grpcStreams--);
      grpc.acceptStream(stream, headers, flags, rawHeaders, session.limits);
      return;
    }
    stream.once("close", () =>
      session.limits.closed(stream, Number(stream.sentHeaders?.["content-length"] ?? chunkBytes)),
    );
    this.#begin(stream, headers, rawHeaders, session.limits);
  }

  #begin(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    rawHeaders: readonly string[],
    { peer }: SessionLimits,
  ): void {
    const refusal = this.#check.http2Problem(headers, rawHeaders);
    headers.host ??= headers[":authority"];
    // For all later code, a body of unknown length is a chunked one.
    if (!stream.endAfterHeaders && headers["content-length"] === undefined) {
      headers["transfer-encoding"] = "chunked";
    }
    const request = new Http2ServerRequest(stream, headers, {}, rawHeaders);
    const exchange = new Http2Exchange(stream, request, this, peer);
    stream.once("finish", () => this.#linger(stream));
    this.inFlight.add(exchange);
    if (refusal !== undefined) {
      this.#refuse(exchange, refusal);
      return;
    }
    this.#serve(exchange);
  }

  #refuse(exchange: Http2Exchange, refusal: HttpError): void {
    setFailure(exchange.head, refusal);
    const { status, headers, body } = this.#errors.toReply(refusal);
    exchange.respond(status, headers, body);
  }

  /**
   * Reads and discards the body for a while, so that an early answer reaches a client that is still sending; then the
   * stream is reset. Node would reset a stream whose body nothing reads at once, which curl takes for a failure.
   */
  #linger(stream: ServerHttp2Stream): void {
    if (stream.readableEnded || stream.destroyed || stream.endAfterHeaders) return;
    stream.resume();
    const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), this.#options.lingerMs);
    stream.once("close", () => clearTimeout(timer));
  }
}

/**
 * Whether the gRPC server can serve a request: it supports neither JSON nor brotli, which the gRPC door of the gateway
 * does.
 */
export function isForGrpcEngine({
  "content-type": type = "",
  "grpc-encoding": encoding,
}: IncomingHttpHeaders): boolean {
  return grpcType.test(type) && encoding !== "br";
}
