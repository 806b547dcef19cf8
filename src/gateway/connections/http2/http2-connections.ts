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
import type { ErrorWriter } from "../../http/error-writer.ts";
import type { HttpError } from "../../http/http-error.ts";
import type { CompleteHead } from "../../http/response-head.ts";
import type { ExchangeHooks, ExchangeOwner, LiveExchange } from "../live-exchange.ts";
import type { Http1Options } from "../http1-limits.ts";
import { Http2Exchange } from "./http2-exchange.ts";
import type { Http2Limits } from "../http2-limits.ts";
import type { Http2Side } from "./http2-side.ts";
import { RequestCheck } from "../request-check.ts";
import { watchPulse } from "./session-pulse.ts";

/** Options of `Http2Connections`. */
export interface Http2Options extends Http1Options, Http2Limits {
  /** Serves the streams whose content type is gRPC. Undefined: they are requests like all others. */
  readonly grpc: StreamServer | undefined;
  /** Which engine serves HTTP/2: `node:http2`, our own, or our own where nothing is in its way. */
  readonly engine: "auto" | "own" | "node";
}

/** More header fields or bytes than this reset the stream before anybody can answer. */
const unanswered = { headerFields: 2000, headerBytes: 65_535 };

/** What a streamed answer has on its way at most, in bytes, and a little more. */
const chunkBytes = 128 * 1024;

const grpcType = /^application\/grpc(?:\+proto)?\s*(?:;|$)/i;

/** What is known of one connection. */
interface Session {
  readonly limits: SessionLimits;
  /** Open streams, those of gRPC among them. */
  streams: number;
  grpcStreams: number;
}

/**
 * The HTTP/2 beside `Http1Connections`: makes connections into sessions with safe limits, refuses requests that are
 * ambiguous or not for this host, gives streams of gRPC to whoever serves them, and knows every exchange that is under
 * way. What is behind it sees requests as HTTP/1 has them.
 */
export class Http2Connections implements Http2Side, ExchangeOwner {
  readonly inFlight = new LiveSet<LiveExchange>();
  stopping: ConnectError | undefined;
  readonly #options: Http2Options;
  readonly #errors: ErrorWriter;
  readonly completeHead: CompleteHead | undefined;
  readonly #onClose: ExchangeHooks["onClose"];
  readonly #check: RequestCheck;
  readonly #server: Http2Server;
  readonly #sessions = new Map<ServerHttp2Session, Session>();
  #serve: (exchange: Http2Exchange) => void = () => {};
  #connecting: Socket | undefined;
  #stopped = false;

  constructor(options: Http2Options, errors: ErrorWriter, { onClose, completeHead }: ExchangeHooks) {
    this.completeHead = completeHead;
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
    this.#server.on("sessionError", () => {}); // A connection that breaks tells by its close.
  }

  /** Good requests go to `serve` from now on. */
  use(serve: (exchange: Http2Exchange) => void): void {
    this.#serve = serve;
  }

  /** Serves a connection that speaks HTTP/2. */
  connect(socket: Socket): void {
    socket.allowHalfOpen = false;
    this.#connecting = socket;
    this.#server.emit("connection", socket); // Makes the session at once.
    this.#connecting = undefined;
  }

  /** Tells every client by GOAWAY to go elsewhere; connections close when their last stream has. */
  goAway(): void {
    for (const session of this.#sessions.keys()) session.close();
  }

  /** As `goAway`, for connections yet to come too. */
  stop(): void {
    this.#stopped = true;
    this.goAway();
  }

  /**
   * Waits until the connections that were told to go elsewhere have sent what they have in hand and are closed, but for
   * those with gRPC calls; at most `timeoutMs` milliseconds. A stream is over before its last bytes have left.
   */
  async farewell(timeoutMs: number): Promise<void> {
    const closing = [...this.#sessions].filter(([, { grpcStreams }]) => grpcStreams === 0);
    if (closing.length === 0) return;
    const timer = new AbortController();
    await Promise.race([
      Promise.all(closing.map(([session]) => new Promise((resolve) => session.once("close", resolve)))),
      wait(timeoutMs, undefined, { signal: timer.signal }).catch(() => {}),
    ]);
    timer.abort();
  }

  /** Cuts every connection, but not those whose gRPC calls another server has still to end. */
  cutConnections(): void {
    for (const { limits, grpcStreams } of this.#sessions.values()) if (grpcStreams === 0) limits.cut();
  }

  /** Resolves when no exchange is under way. */
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
      stream.on("error", () => {}); // The connection broke before its stream was told.
      return;
    }
    session.limits.active();
    session.streams++;
    stream.once("close", () => session.streams--);
    const { turns } = session.limits;
    if (turns.take(stream)) this.#serveStream(session, stream, headers, flags, rawHeaders);
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
    // To everybody behind, a body of unknown length is a chunked one.
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
    if (
      headers.expect === "100-continue" &&
      Number(headers["content-length"] ?? 0) <= this.#options.maxBodyBytes
    ) {
      exchange.continueBody();
    }
    this.#serve(exchange);
  }

  #refuse(exchange: Http2Exchange, refusal: HttpError): void {
    const { status, headers, body } = this.#errors.toReply(refusal);
    exchange.respond(status, headers, body);
  }

  /** Reads on for a while, so that an early answer reaches a client that is still sending; then the stream is reset. */
  #linger(stream: ServerHttp2Stream): void {
    if (stream.readableEnded || stream.destroyed || stream.readableFlowing === null) return;
    stream.resume();
    const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), this.#options.lingerMs);
    stream.once("close", () => clearTimeout(timer));
  }
}

/** JSON and brotli are nothing that the engine of gRPC servers speaks; the rpcs of the gateway do. */
function isForGrpcEngine({
  "content-type": type = "",
  "grpc-encoding": encoding,
}: IncomingHttpHeaders): boolean {
  return grpcType.test(type) && encoding !== "br";
}
