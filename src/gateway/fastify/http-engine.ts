import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import {
  fastify,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type RequestPayload,
} from "fastify";
import { METHODS } from "../../core/net/node-http.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { HttpExchange } from "../http/exchange.ts";
import type { OwnRoute } from "../http/own-route.ts";
import { enter, type Entry, sendError } from "./entry.ts";
import { FastifyUse } from "./fastify-use.ts";
import { schemaCompilers } from "./schema-compilers.ts";

/** Serves an exchange; request and response are those that Node made for it. */
type ServeExchange = (exchange: HttpExchange, request: IncomingMessage, response: ServerResponse) => void;

/** What listens for the engine. */
export interface EnginePort {
  /** A server whose good requests reach `serve`. */
  createServer(serve: ServeExchange): Server;
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
  /** The largest body that routes of the user's own may have, in bytes. */
  readonly maxBodyBytes: number;
  /** The longest request target, in bytes, and so the longest parameter of a route of the user's own. */
  readonly maxUrlBytes: number;
  /** Is called once before anything is served. @throws Error when the rpcs cannot be served. */
  readonly prepare: () => void;
  /** Adds hooks that only concern calls; undefined for none. */
  readonly addHooks: ((scope: FastifyInstance) => void) | undefined;
}

/**
 * A Fastify on a `PortServer`, whose errors look like all others, and that knows every HTTP method. Routes, hooks and
 * plugins of the user's own come before the rpcs; requests that none of them can concern do not pass through Fastify
 * (`FastifyUse`).
 */
export class HttpEngine {
  readonly fastify: FastifyInstance;
  readonly addHooks: HttpEngineOptions["addHooks"];
  readonly #options: HttpEngineOptions;
  readonly #use = new FastifyUse();
  #mounted = false;

  constructor(options: HttpEngineOptions) {
    this.#options = options;
    this.addHooks = options.addHooks;
    const { port, maxBodyBytes, maxUrlBytes } = options;
    const engine = fastify({
      serverFactory: (handler) =>
        port.createServer((exchange, request, response) => {
          if (this.#use.concerns(exchange.head.url)) handler(request, response);
          else options.serve(exchange);
        }),
      clientErrorHandler: (error, socket) => port.clientError(error, socket),
      frameworkErrors: (error, request, reply) => {
        // Their types are as wide as a request may be wrong.
        const [asked, answer] = [request as FastifyRequest, reply as FastifyReply];
        // A path that cannot be decoded: hooks have not seen it, and the doors say what is wrong.
        if (error.code === "FST_ERR_BAD_URL") enter(options, asked, answer);
        else sendError(options, error, asked, answer);
      },
      // A shorter one would answer paths of rpcs that only begin as a pattern of the user's own does.
      routerOptions: { maxParamLength: maxUrlBytes },
      bodyLimit: maxBodyBytes,
      schemaController: { compilersFactory: schemaCompilers },
      return503OnClosing: false,
    });
    for (const method of METHODS) {
      if (engine.supportedMethods.includes(method)) continue;
      engine.addHttpMethod(method, { hasBody: true });
    }
    engine.setErrorHandler((error, request, reply) => sendError(options, error, request, reply));
    this.fastify = engine;
    this.#use.watch(engine);
    this.#mountLast(engine);
  }

  /** The user's own routes that are there for every request with their method and path. */
  get ownRoutes(): readonly OwnRoute[] {
    return this.#use.ownRoutes;
  }

  /** One line for what passes through Fastify, and why; none where nothing does. */
  describe(): string[] {
    return this.#use.describe();
  }

  /**
   * Puts the rpcs behind everything that is on the engine when it is made ready, by `start()` or by `inject`, without
   * the engine's reading of bodies.
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
      const all = this.ownRoutes.find(({ url }) => url === "*" || url === "/*");
      if (all !== undefined) {
        throw new SetupError(
          `HTTP: the route ${all.method} ${all.url} of your own leaves no path to the rpcs: give it a narrower one`,
        );
      }
      this.#use.settle(options.addHooks !== undefined);
      options.port.chooseHttp2(this.#use.why, options.serve);
      options.addHooks?.(scope);
      leaveBodies(scope);
      scope.route({
        method: scope.supportedMethods,
        url: "*",
        handler: (request, reply) => enter(options, request, reply),
        errorHandler: (error, request, reply) => sendError(options, error, request, reply),
        preParsing: hideContentType,
      });
    });
  }
}

/** Content types that the engine is sure to take. */
const simpleType = /^[a-z]+\/[a-z+.-]+$/;
/** Methods whose bodies the engine does not look at. */
const bodyless: ReadonlySet<string> = new Set(["GET", "HEAD", "TRACE"]);
const hidden = { "content-type": "application/json" };

/**
 * The engine refuses content types that are malformed, and some methods without one, in words of its own; what a body
 * may be is decided by the handler of the rpc. It is shown another type until it has looked.
 */
export function hideContentType(
  request: FastifyRequest,
  _reply: FastifyReply,
  payload: RequestPayload,
  done: (error: null, payload: RequestPayload) => void,
): void {
  const { headers, method } = request.raw;
  const type = headers["content-type"];
  const isTaken = type === undefined ? method !== "QUERY" : simpleType.test(type);
  if (!isTaken && !bodyless.has(method ?? "")) request.headers = hidden;
  done(null, payload);
}

/** Ends what `hideContentType` began, so that hooks behind the engine's look see the request as it is. */
function showContentType(request: FastifyRequest): void {
  if (request.headers !== request.raw.headers) request.headers = request.raw.headers;
}

/** Leaves request bodies unread by the engine: the handler of the rpc reads them. */
export function leaveBodies(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser("*", (request, _payload, done) => {
    showContentType(request);
    done(null);
  });
}
