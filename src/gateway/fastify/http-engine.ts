import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { FastifyInstance, FastifyReply, FastifyRequest, RequestPayload } from "fastify";
import { METHODS } from "../../core/net/node-http.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { HttpExchange, RequestHead } from "../http/exchange.ts";
import type { OwnRoute } from "../http/own-route.ts";
import { enter, type Entry, sendError } from "./entry.ts";
import { FastifyUse } from "./fastify-use.ts";
import { makeFastify } from "./make-fastify.ts";

/** Serves an exchange; `request` and `response` are the same exchange in Node's API. */
type ServeExchange = (exchange: HttpExchange, request: IncomingMessage, response: ServerResponse) => void;

/** Chooses what answers a request whole, by its head; undefined for none. */
type ChooseAnswer = (head: RequestHead) => ((exchange: HttpExchange) => void) | undefined;

/** What listens for the engine. */
export interface EnginePort {
  /** A server whose good requests reach `serve`, or, before they do, what `choose` chooses for them. */
  createServer(serve: ServeExchange, choose: ChooseAnswer): Server;
  /** From now on what is done with `server`, the first one that was created, is done by the application. */
  watch(server: Server): void;
  /**
   * Chooses the engine of HTTP/2, before the first connection.
   *
   * @param fastify why requests may pass through Fastify; undefined if none does
   * @param serve serves what passes Fastify by
   */
  chooseHttp2(fastify: string | undefined, serve: (exchange: HttpExchange) => void): void;
  /** Answers a connection whose bytes are not HTTP, and closes it. */
  clientError(error: NodeJS.ErrnoException, socket: Socket): void;
}

/** Options of `HttpEngine`. */
export interface HttpEngineOptions extends Entry {
  readonly port: EnginePort;
  /**
   * Whether a request may go on, by what it says of early data; one that may not was answered. Asked for each that has the
   * header `early-data`.
   */
  readonly admitsEarly: (exchange: HttpExchange) => boolean;
  /** As `EnginePort.createServer` has it, for requests that do not pass through Fastify. */
  readonly choose: ChooseAnswer;
  /** The largest body of the user's own routes, in bytes. */
  readonly maxBodyBytes: number;
  /** The longest request target, in bytes; also the longest path parameter of the user's own routes. */
  readonly maxUrlBytes: number;
  /** Called once before the first request is served. @throws Error when the rpcs cannot be served. */
  readonly prepare: () => void;
  /** Adds the gateway's hooks for calls; undefined for none. */
  readonly addHooks: ((scope: FastifyInstance) => void) | undefined;
}

/**
 * A Fastify on a `PortServer` that supports every HTTP method and whose errors have the same form as all others. The
 * user's own routes, hooks and plugins come before the rpcs; requests to which none of them can apply do not pass
 * through Fastify (`FastifyUse`).
 */
export class HttpEngine {
  readonly fastify: FastifyInstance;
  readonly addHooks: HttpEngineOptions["addHooks"];
  /** Passes a request of a port to Fastify if it concerns that, else to the doors. */
  readonly serve: ServeExchange;
  readonly #options: HttpEngineOptions;
  readonly #use = new FastifyUse();
  #mounted = false;

  constructor(options: HttpEngineOptions) {
    this.#options = options;
    this.addHooks = options.addHooks;
    const { port, maxBodyBytes, maxUrlBytes } = options;
    let passOn: (request: IncomingMessage, response: ServerResponse) => void = () => {};
    this.serve = (exchange, request, response) => {
      const { headers, url } = exchange.head;
      if (headers["early-data"] !== undefined && !options.admitsEarly(exchange)) return;
      if (this.#use.concerns(url)) passOn(request, response);
      else options.serve(exchange);
    };
    const engine = makeFastify({
      serverFactory: (handler) => {
        passOn = handler;
        return port.createServer(this.serve, (head) =>
          head.headers["early-data"] !== undefined || this.#use.concerns(head.url)
            ? undefined
            : options.choose(head),
        );
      },
      clientErrorHandler: (error, socket) => port.clientError(error, socket),
      frameworkErrors: (error, request, reply) => {
        // Fastify declares wider types here.
        const [incoming, answer] = [request as FastifyRequest, reply as FastifyReply];
        // A path that cannot be decoded: no hooks have run, and the doors answer with their own error.
        if (error.code === "FST_ERR_BAD_URL") enter(options, incoming, answer);
        else sendError(options, error, incoming, answer);
      },
      // With a shorter limit, Fastify would answer 404 to long paths of rpcs that begin like a pattern of the user.
      routerOptions: { maxParamLength: maxUrlBytes },
      bodyLimit: maxBodyBytes,
      return503OnClosing: false,
    });
    for (const method of METHODS) {
      if (engine.supportedMethods.includes(method)) continue;
      engine.addHttpMethod(method, { hasBody: true });
    }
    engine.setErrorHandler((error, request, reply) => sendError(options, error, request, reply));
    this.fastify = engine;
    port.watch(engine.server);
    this.#use.watch(engine);
    this.#mountLast(engine);
  }

  /** The user's own routes that apply to every request with their method and path. */
  get ownRoutes(): readonly OwnRoute[] {
    return this.#use.ownRoutes;
  }

  /** Whether every request passes through Fastify, for hooks or plugins. */
  get hasHooks(): boolean {
    return this.#use.why !== undefined;
  }

  /** One line that describes which requests pass through Fastify, and why; none if nothing does. */
  describe(): string[] {
    return this.#use.describe();
  }

  /**
   * Mounts the rpcs after everything that has been added when the engine becomes ready, by `start()` or by `inject`,
   * without the engine's parsing of bodies.
   */
  #mountLast(engine: FastifyInstance): void {
    const own = engine as { ready: (this: FastifyInstance, done?: unknown) => unknown };
    const { ready } = own;
    const mount = (): void => this.#mount();
    own.ready = function (done) {
      mount();
      return ready.call(this, done);
    };
  }

  #mount(): void {
    if (this.#mounted) return;
    this.#mounted = true;
    const options = this.#options;
    void this.fastify.register(async (scope) => {
      options.prepare();
      const everywhere = this.ownRoutes.filter(({ url }) => url === "*" || url === "/*");
      const closed = everywhere.find(({ method }) => method !== "OPTIONS");
      if (closed !== undefined) {
        throw new SetupError(
          `HTTP: the route ${closed.method} ${closed.url} of your own leaves no path to the rpcs: give it a narrower one`,
        );
      }
      this.#use.settle(options.addHooks !== undefined);
      options.port.chooseHttp2(this.#use.why, (exchange) => {
        const isEarly = exchange.head.headers["early-data"] !== undefined;
        if (!isEarly || options.admitsEarly(exchange)) options.serve(exchange);
      });
      options.addHooks?.(scope);
      skipBodyParsing(scope);
      scope.route({
        // Plugins for CORS have a route of their own for OPTIONS of all paths.
        method: scope.supportedMethods.filter((name) => everywhere.every(({ method }) => method !== name)),
        url: "*",
        handler: (request, reply) => enter(options, request, reply),
        errorHandler: (error, request, reply) => sendError(options, error, request, reply),
        preParsing: hideContentType,
      });
    });
  }
}

/** Content types that the engine always accepts. */
const simpleType = /^[a-z]+\/[a-z+.-]+$/;
/** Methods whose bodies the engine ignores. */
const bodyless: ReadonlySet<string> = new Set(["GET", "HEAD", "TRACE"]);
const hidden = { "content-type": "application/json" };

/**
 * Replaces a content type that the engine would refuse with an error of its own, malformed or missing, until the engine
 * has checked it: the handler of the rpc decides which bodies are valid.
 */
export function hideContentType(
  request: FastifyRequest,
  _reply: FastifyReply,
  payload: RequestPayload,
  done: (error: null, payload: RequestPayload) => void,
): void {
  const { headers, method } = request.raw;
  const type = headers["content-type"];
  const isAccepted = type === undefined ? method !== "QUERY" : simpleType.test(type);
  if (!isAccepted && !bodyless.has(method ?? "")) request.headers = hidden;
  done(null, payload);
}

/**
 * Restores the headers that `hideContentType` has replaced, so that hooks after the engine's check see the original
 * request.
 */
function showContentType(request: FastifyRequest): void {
  if (request.headers !== request.raw.headers) request.headers = request.raw.headers;
}

/** Makes the engine ignore request bodies: the handler of the rpc reads them. */
export function skipBodyParsing(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser("*", (request, _payload, done) => {
    showContentType(request);
    done(null);
  });
}
