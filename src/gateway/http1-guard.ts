import {
  createServer,
  STATUS_CODES,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ErrorReply, ErrorWriter } from "./error-writer.ts";
import { Exchange, exchangeClosed, type ExchangeOwner } from "./exchange.ts";
import { HttpError } from "./http-error.ts";

/** Limits of the HTTP/1 layer. */
export interface Http1Limits {
  /** The largest header block, in bytes: 431 beyond. Default: 16,384. */
  readonly maxHeaderBytes: number;
  /** The most header fields: 431 beyond. Default: 100. */
  readonly maxHeaderFields: number;
  /** The longest request target, in bytes: 414 beyond. Default: 8,192. */
  readonly maxUrlBytes: number;
  /** The largest body that a client may send after `Expect: 100-continue`, in bytes. Default: 4 MiB. */
  readonly maxBodyBytes: number;
  /** How long a header block may take, in milliseconds: 408 beyond. Default: 10,000. */
  readonly headersTimeoutMs: number;
  /** How often time limits of connections are looked at, in milliseconds. Default: 1,000. */
  readonly connectionsCheckingIntervalMs: number;
  /** How long an idle connection stays open, in milliseconds; longer than load balancers keep theirs. Default: 72,000. */
  readonly keepAliveTimeoutMs: number;
  /** How long a client may go on sending a body that nobody reads, in milliseconds. Default: 2,000. */
  readonly lingerMs: number;
}

/** The defaults of `Http1Limits`. */
export const http1Defaults: Http1Limits = Object.freeze({
  maxHeaderBytes: 16_384,
  maxHeaderFields: 100,
  maxUrlBytes: 8192,
  maxBodyBytes: 4 * 1024 * 1024,
  headersTimeoutMs: 10_000,
  connectionsCheckingIntervalMs: 1000,
  keepAliveTimeoutMs: 72_000,
  lingerMs: 2000,
});

/** Options of `Http1Guard`. */
export interface Http1GuardOptions extends Http1Limits {
  /** Hosts, with or without port, that requests may be for; others get 421. Undefined for any. */
  readonly allowedHosts: readonly string[] | undefined;
}

/** How many requests of one connection may wait for their turn before reading from it stops. */
const maxWaiting = 64;

/** What is known of one connection. */
interface Connection {
  /** The request that is being served. */
  current: Exchange | undefined;
  /** Pipelined requests behind it: one connection has one request in flight. */
  readonly waiting: Exchange[];
  /** Whether its bytes stopped being HTTP. */
  broken: boolean;
}

/**
 * What stands between the socket and the engine: makes servers with safe limits, refuses requests that are ambiguous
 * or not for this host (RFC 9112), serves pipelined requests one after the other, and knows every exchange that is
 * under way.
 */
export class Http1Guard implements ExchangeOwner {
  readonly #options: Http1GuardOptions;
  readonly #errors: ErrorWriter;
  readonly #onClose: ((exchange: Exchange) => void) | undefined;
  readonly #allowedHosts: ReadonlySet<string> | undefined;
  readonly #connections = new WeakMap<Duplex, Connection>();
  readonly #inFlight = new Set<Exchange>();
  #serve: RequestListener = () => {};
  #closing = false;
  #idle: (() => void) | undefined;

  /** @param onClose Hears of every exchange that ended. */
  constructor(options: Http1GuardOptions, errors: ErrorWriter, onClose?: (exchange: Exchange) => void) {
    this.#options = options;
    this.#errors = errors;
    this.#onClose = onClose;
    this.#allowedHosts =
      options.allowedHosts && new Set(options.allowedHosts.map((host) => host.toLowerCase()));
  }

  /** Every exchange that is under way. */
  get inFlight(): ReadonlySet<Exchange> {
    return this.#inFlight;
  }

  /** A server whose good requests reach `serve`; parser errors go to `clientError`, by the engine's own listener. */
  createServer(serve: RequestListener): Server {
    const options = this.#options;
    this.#serve = serve;
    const server = createServer(
      {
        ServerResponse: Exchange,
        maxHeaderSize: options.maxHeaderBytes,
        headersTimeout: options.headersTimeoutMs,
        requestTimeout: 0,
        keepAliveTimeout: options.keepAliveTimeoutMs,
        connectionsCheckingInterval: options.connectionsCheckingIntervalMs,
        requireHostHeader: false, // Checked here, so that the refusal has a body like all others.
        noDelay: true,
      },
      (request, response) => this.#arrived(request, response),
    );
    server.maxHeadersCount = 0; // Node would hide fields beyond its count; here they are refused.
    server.on("checkContinue", (request: IncomingMessage, response: Exchange) =>
      this.#expected(request, response),
    );
    server.on("checkExpectation", (request: IncomingMessage, response: Exchange) => {
      this.#arrived(
        request,
        response,
        new HttpError(417, "the only expectation that can be met is 100-continue"),
      );
    });
    server.on("connect", (_request: IncomingMessage, socket: Duplex) => {
      this.#writeRaw(socket, this.#errors.toReply(methodNotAllowed("CONNECT")));
    });
    return server;
  }

  /** Answers a connection whose bytes are not HTTP, and closes it. */
  clientError(error: NodeJS.ErrnoException, socket: Duplex): void {
    const connection = this.#connectionOf(socket);
    if (connection.broken) return;
    connection.broken = true;
    connection.waiting.length = 0;
    const { current } = connection;
    if (
      socket.destroyed ||
      !socket.writable ||
      error.code === "ECONNRESET" ||
      current?.headersSent === true
    ) {
      socket.destroy();
    } else if (current?.req.complete === true) {
      current.closeAfter(); // A good request goes before the broken one: its answer is the last.
    } else {
      this.#writeRaw(socket, this.#errors.toReply(parserError(error)));
    }
  }

  /** Every response from now on closes its connection. */
  closeConnections(): void {
    this.#closing = true;
    for (const exchange of this.#inFlight) exchange.closeAfter();
  }

  /** Resolves when no exchange is under way. */
  idle(): Promise<void> {
    if (this.#inFlight.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const before = this.#idle;
      this.#idle = () => {
        before?.();
        resolve();
      };
    });
  }

  exchangeClosed(exchange: Exchange): void {
    this.#inFlight.delete(exchange);
    this.#onClose?.(exchange);
    const { req } = exchange;
    const { socket } = req;
    if (!req.complete && !socket.destroyed) this.#linger(req);
    const connection = this.#connectionOf(socket);
    connection.current = undefined;
    if (connection.waiting.length > 0) this.#next(connection, socket);
    if (this.#inFlight.size === 0) {
      this.#idle?.();
      this.#idle = undefined;
    }
  }

  #connectionOf(socket: Duplex): Connection {
    let connection = this.#connections.get(socket);
    if (connection === undefined) {
      connection = { current: undefined, waiting: [], broken: false };
      this.#connections.set(socket, connection);
    }
    return connection;
  }

  #expected(request: IncomingMessage, response: Exchange): void {
    // The client of a refused body must not send it, so nothing may follow on this connection.
    if (Number(request.headers["content-length"] ?? 0) > this.#options.maxBodyBytes)
      response.shouldKeepAlive = false;
    else response.writeContinue();
    this.#arrived(request, response);
  }

  #arrived(request: IncomingMessage, response: Exchange, refusal?: HttpError): void {
    const connection = this.#connectionOf(request.socket);
    if (connection.broken) return;
    response.refusal = refusal;
    if (connection.current === undefined) {
      this.#begin(connection, response);
      return;
    }
    connection.waiting.push(response);
    if (connection.waiting.length === maxWaiting) request.socket.pause();
  }

  #next(connection: Connection, socket: Socket): void {
    if (socket.destroyed) {
      connection.waiting.length = 0;
      return;
    }
    const exchange = connection.waiting.shift();
    if (connection.waiting.length === 0) socket.resume();
    if (exchange !== undefined) this.#begin(connection, exchange);
  }

  #begin(connection: Connection, exchange: Exchange): void {
    connection.current = exchange;
    exchange.owner = this;
    exchange.on("close", exchangeClosed);
    this.#inFlight.add(exchange);
    if (this.#closing) exchange.shouldKeepAlive = false;
    const refusal = exchange.refusal ?? this.#examine(exchange.req);
    if (refusal === undefined) this.#serve(exchange.req, exchange);
    else this.#refuse(exchange, refusal);
  }

  #refuse(exchange: Exchange, refusal: HttpError): void {
    const { status, headers, body } = this.#errors.toReply(refusal);
    exchange.shouldKeepAlive = false;
    exchange.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) });
    exchange.end(body);
  }

  /** What is wrong with a request that its parser let through. Reduces an absolute target to its path. */
  #examine(request: IncomingMessage): HttpError | undefined {
    const { httpVersion, rawHeaders } = request;
    const url = request.url ?? "";
    if (httpVersion !== "1.1" && httpVersion !== "1.0") {
      return new HttpError(505, `HTTP/${httpVersion} is not spoken here`);
    }
    if (url.length > this.#options.maxUrlBytes) {
      return new HttpError(414, `the request target is longer than ${this.#options.maxUrlBytes} bytes`);
    }
    if (rawHeaders.length > this.#options.maxHeaderFields * 2) {
      return new HttpError(431, `the request has more than ${this.#options.maxHeaderFields} header fields`);
    }
    const hosts = countHosts(rawHeaders);
    if (hosts > 1) return new HttpError(400, "the request has more than one Host header");
    if (hosts === 0 && httpVersion === "1.1") return new HttpError(400, "the request has no Host header");
    if (request.method === "TRACE") return methodNotAllowed("TRACE");
    return this.#examineTarget(request, url);
  }

  #examineTarget(request: IncomingMessage, url: string): HttpError | undefined {
    if (url.indexOf("#") !== -1) return new HttpError(400, "the request target has a fragment (#)");
    let authority = request.headers.host;
    if (url.charCodeAt(0) !== 0x2f) {
      const absolute = /^https?:\/\/([^/?]+)(.*)$/is.exec(url);
      if (absolute !== null) {
        const [, host, rest = ""] = absolute;
        authority = host;
        request.url = rest.startsWith("/") ? rest : `/${rest}`;
      } else if (url !== "*" || request.method !== "OPTIONS") {
        return new HttpError(400, "the request target must be a path");
      }
    }
    if (this.#allowedHosts !== undefined && !this.#isAllowed(authority)) {
      return new HttpError(421, "this server does not answer for the host of the request");
    }
    return undefined;
  }

  #isAllowed(authority: string | undefined): boolean {
    if (authority === undefined) return false;
    const host = authority.toLowerCase();
    return (
      this.#allowedHosts?.has(host) === true || this.#allowedHosts?.has(host.replace(/:\d*$/, "")) === true
    );
  }

  /** Reads on for a while, so that a refusal reaches a client that is still sending; then the connection is cut. */
  #linger(request: IncomingMessage): void {
    const timer = setTimeout(() => {
      if (!request.complete) request.socket.destroy();
    }, this.#options.lingerMs);
    request.socket.once("close", () => clearTimeout(timer));
    request.once("end", () => clearTimeout(timer));
  }

  #writeRaw(socket: Duplex, { status, headers, body }: ErrorReply): void {
    const lines = Object.entries(headers).flatMap(([name, value]) =>
      [value].flat().map((one) => `${name}: ${one}\r\n`),
    );
    socket.on("error", () => socket.destroy());
    socket.end(
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines.join("")}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    );
    const timer = setTimeout(() => socket.destroy(), this.#options.lingerMs);
    socket.once("close", () => clearTimeout(timer));
  }
}

function methodNotAllowed(method: string): HttpError {
  return new HttpError(405, `${method} is not served here`, {
    headers: { allow: "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT" },
  });
}

function countHosts(rawHeaders: readonly string[]): number {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i];
    if (name !== undefined && name.length === 4 && name.toLowerCase() === "host") count++;
  }
  return count;
}

function parserError(error: NodeJS.ErrnoException): HttpError {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      return new HttpError(431, "the header block is too large");
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return new HttpError(413, "the extensions of a chunk are too large");
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new HttpError(408, "the request head did not arrive in time");
    default:
      return new HttpError(400, "the request is not valid HTTP/1.1");
  }
}
