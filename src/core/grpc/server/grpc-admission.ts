import type { Http2Server, IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";
import { ServerCredentials, type Server } from "@grpc/grpc-js";
import { Code } from "../../errors/errors.ts";
import { SessionLimits, type SessionLimitOptions } from "../../http2/session-limits.ts";
import { FrameWatch } from "../../http2/frame-watch.ts";
import { parseTimeout } from "../../wire/grpc-timeout.ts";
import { GrpcRequestCheck, type HeaderLimits, refuse, statusRefusal } from "./grpc-request-check.ts";

/** Limits of a request before its handler is known, and of its connection. */
export interface RequestLimits extends SessionLimitOptions, HeaderLimits {}

/** An admitted request, with what grpc-js does not pass to its interceptors. */
export interface AdmittedRequest {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  /** The `grpc-timeout` in milliseconds; undefined for none. */
  readonly timeoutMs: number | undefined;
  readonly frames: Pick<FrameWatch, "fault" | "partial">;
  /** Its connection. */
  readonly session: SessionLimits;
}

/** An admitted request whose server reads and checks the frames itself. */
export type UnreadRequest = Omit<AdmittedRequest, "frames">;

type StreamListener = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  flags: number,
  rawHeaders: string[],
) => void;

/**
 * Admission of requests in front of grpc-js: only valid ones pass.
 *
 * grpc-js has no limit for header lists, accepts malformed `grpc-timeout`, `content-type` and `te` and removes them
 * before its interceptors run, has no handshake timeout and no limit of pings. All of that is checked here, on the
 * HTTP/2 server that grpc-js makes for its connection injector: the only internal object of grpc-js that this library
 * touches.
 */
export class GrpcAdmission {
  readonly #limits: RequestLimits;
  readonly #check: GrpcRequestCheck;
  readonly #isOurs: (path: string) => boolean;
  readonly #serveDirectly: (path: string, request: UnreadRequest) => boolean;
  readonly #inject: (connection: Duplex) => void;
  readonly #deliver: StreamListener;
  readonly #sessions = new Map<ServerHttp2Session, SessionLimits>();
  /** Connections that another server has accepted and some of whose streams were served here. */
  readonly #guests = new Map<ServerHttp2Session, SessionLimits>();
  #current: AdmittedRequest | undefined;
  #closing = false;

  /**
   * @param isOurs Whether the rpc of this path reads headers and deadline from `current`, so that grpc-js need not
   *   parse them.
   * @param serveDirectly Serves a request of such an rpc without grpc-js and returns true, or returns false for grpc-js
   *   to serve it.
   * @throws Error if this version of grpc-js keeps its HTTP/2 server in another place than the supported one.
   */
  constructor(
    engine: Server,
    limits: RequestLimits,
    isOurs: (path: string) => boolean,
    serveDirectly: (path: string, request: UnreadRequest) => boolean = () => false,
  ) {
    this.#limits = limits;
    this.#check = new GrpcRequestCheck(limits);
    this.#isOurs = isOurs;
    this.#serveDirectly = serveDirectly;
    const injector = engine.createConnectionInjector(ServerCredentials.createInsecure());
    this.#inject = (connection) => injector.injectConnection(connection);
    const server = http2ServerOf(engine);
    // grpc-js' own listener: http2ServerOf has checked that there is exactly one.
    this.#deliver = server.listeners("stream")[0] as StreamListener;
    server.removeAllListeners("stream");
    server.on("stream", this.#onStream);
    server.on("session", this.#onSession);
  }

  /** Serves a connection. */
  accept(connection: Duplex): void {
    this.#inject(connection);
  }

  /** Serves a stream of a connection that another server has accepted and limits. */
  acceptStream(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    flags: number,
    rawHeaders: string[],
    limits: SessionLimits,
  ): void {
    const { session } = stream;
    if (session === undefined) {
      stream.on("error", () => {}); // The connection broke before its stream was reported.
    } else if (this.#closing) {
      this.refuseStream(stream, limits, "the server is shutting down");
    } else {
      // Streams of a server have a session of a server.
      this.#trackGuest(session as ServerHttp2Session, limits);
      this.#serve(stream, headers, flags, rawHeaders, limits);
    }
  }

  /** Answers UNAVAILABLE to a stream of a connection that another server has accepted. */
  refuseStream(stream: ServerHttp2Stream, limits: SessionLimits, message: string): void {
    limits.active();
    refuse(stream, statusRefusal(Code.Unavailable, message));
  }

  /** Resolves when other servers' connections with streams here are closed, or after `timeoutMs` milliseconds. */
  async guestsClosed(timeoutMs: number): Promise<void> {
    if (this.#guests.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      for (const session of this.#guests.keys()) {
        session.once("close", () => {
          if (this.#guests.size > 0) return;
          clearTimeout(timer);
          resolve();
        });
      }
    });
  }

  /** Destroys other servers' connections with streams here. */
  cutGuests(): void {
    for (const limits of this.#guests.values()) limits.cut();
  }

  #trackGuest(session: ServerHttp2Session, limits: SessionLimits): void {
    if (this.#guests.has(session)) return;
    this.#guests.set(session, limits);
    session.once("close", () => this.#guests.delete(session));
  }

  /** The request that is being delivered to grpc-js, synchronously; undefined at any other time. */
  get current(): AdmittedRequest | undefined {
    return this.#current;
  }

  /** Sends GOAWAY to every client: no new streams; each connection closes with its last stream. */
  close(): void {
    this.#closing = true;
    for (const session of this.#sessions.keys()) session.close();
  }

  readonly #onSession = (session: ServerHttp2Session): void => {
    this.#sessions.set(session, new SessionLimits(session, this.#limits));
    session.once("close", () => this.#sessions.delete(session));
    if (this.#closing) session.close();
  };

  readonly #onStream: StreamListener = (stream, headers, flags, rawHeaders) => {
    const session = this.#sessions.get(stream.session as ServerHttp2Session); // Streams of a server have one.
    if (session === undefined) {
      stream.on("error", () => {}); // The connection broke before its stream was reported.
      return;
    }
    const { turns } = session;
    if (turns.admit(stream)) this.#serve(stream, headers, flags, rawHeaders, session);
    else turns.wait(stream, () => this.#serve(stream, headers, flags, rawHeaders, session));
  };

  #serve(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    flags: number,
    rawHeaders: string[],
    session: SessionLimits,
  ): void {
    session.active();
    const refusal = this.#check.problem(headers, rawHeaders);
    if (refusal !== undefined) {
      refuse(stream, refusal);
      return;
    }
    const path = headers[":path"] ?? "";
    if (!this.#isOurs(path)) {
      this.#deliver(stream, headers, flags, rawHeaders);
      return;
    }
    const timeout = headers["grpc-timeout"];
    const timeoutMs = typeof timeout === "string" ? parseTimeout(timeout) : undefined;
    if (this.#serveDirectly(path, { stream, headers, timeoutMs, session })) return;
    const encoding = headers["grpc-encoding"];
    const frames = new FrameWatch(encoding !== undefined && encoding !== "identity");
    stream.on("data", frames.check);
    this.#current = { stream, headers, timeoutMs, frames, session };
    try {
      // Only what grpc-js needs: the context enforces the deadline, and grpc-js prints metadata that it cannot parse.
      const fields: IncomingHttpHeaders = { ":path": path, "content-type": "application/grpc" };
      if (encoding !== undefined) fields["grpc-encoding"] = encoding;
      this.#deliver(stream, fields, flags, rawHeaders);
    } finally {
      this.#current = undefined;
    }
  }
}

/** The HTTP/2 server behind a connection injector, which grpc-js keeps in a private map. */
function http2ServerOf(engine: Server): Http2Server {
  const servers = (engine as unknown as { http2Servers?: unknown }).http2Servers; // Not in the types of grpc-js.
  const all: unknown[] = servers instanceof Map ? [...servers.keys()] : [];
  const [server] = all;
  if (all.length !== 1 || !(server instanceof EventEmitter) || server.listenerCount("stream") !== 1) {
    throw new Error("this version of @grpc/grpc-js keeps its HTTP/2 server where admission cannot find it");
  }
  return server as Http2Server; // Only an HTTP/2 server emits "stream".
}
