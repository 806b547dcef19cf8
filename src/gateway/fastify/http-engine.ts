import type { IncomingMessage, RequestListener, Server } from "node:http";
import type { Socket } from "node:net";
import {
  fastify,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type RequestPayload,
  type RouteHandlerMethod,
} from "fastify";
import { METHODS } from "../../core/net/node-http.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { ErrorWriter } from "../http/error-writer.ts";
import type { Exchange } from "../http/exchange.ts";
import type { OwnRoute } from "../http/own-route.ts";
import { schemaCompilers } from "./schema-compilers.ts";
import { pathOf } from "../../core/net/request-target.ts";

/** What stands between a port and the engine. */
export interface EnginePort {
  /** A server whose good requests reach `serve`. */
  createServer(serve: RequestListener): Server;
  /** Answers a connection whose bytes are not HTTP, and closes it. */
  clientError(error: NodeJS.ErrnoException, socket: Socket): void;
}

/** Options of `HttpEngine`. */
export interface HttpEngineOptions {
  readonly port: EnginePort;
  readonly errors: ErrorWriter;
  /** The largest body that routes of the user's own may have, in bytes. */
  readonly maxBodyBytes: number;
  /** The longest request target, in bytes, and so the longest parameter of a route of the user's own. */
  readonly maxUrlBytes: number;
  /** Answers a request in which nobody but the rpcs has a say, if it can; false if it has done nothing. */
  readonly answer: (request: IncomingMessage, exchange: Exchange) => boolean;
  /** Refuses a request whose path cannot be decoded; none of the user's hooks has seen it. */
  readonly refusePath: (request: FastifyRequest, reply: FastifyReply) => void;
  /** What stands behind everything of the user's own, as soon as all of that is there. */
  readonly mount: Mount;
}

/** What stands behind everything of the user's own. */
export interface Mount {
  /** Is called once before anything is served. @throws Error when the rpcs cannot be served. */
  readonly prepare: () => void;
  /** Answers what no route of the user's own does. */
  readonly serve: RouteHandlerMethod;
  /** Adds hooks that only concern these requests. */
  readonly addHooks: (scope: FastifyInstance) => void;
}

/** Hooks of Fastify that do not run for requests. */
const applicationHooks: ReadonlySet<string> = new Set([
  "onReady",
  "onListen",
  "onClose",
  "preClose",
  "onRoute",
  "onRegister",
]);

/** `addHook` of Fastify without the types of each hook; scopes of plugins inherit it. */
type AddHook = (this: FastifyInstance, name: string, hook: unknown) => FastifyInstance;

/**
 * A Fastify whose sockets are those of a `PortServer`, whose errors look like all others, and that knows every HTTP method. Requests
 * that no hook and no route of the user's own can concern do not pass through it.
 */
export class HttpEngine {
  readonly fastify: FastifyInstance;
  readonly #options: HttpEngineOptions;
  /** Paths of the user's own routes; undefined when some are patterns, or hooks want to see every request. */
  #ownPaths: Set<string> | undefined = new Set();
  /** The user's own routes that are there for every request with their method and path. */
  readonly ownRoutes: OwnRoute[] = [];
  #mounted = false;
  #mounting = false;

  constructor(options: HttpEngineOptions) {
    this.#options = options;
    const { port, errors, maxBodyBytes, maxUrlBytes, refusePath } = options;
    const engine = fastify({
      serverFactory: (handler) => this.#createServer(handler),
      clientErrorHandler: (error, socket) => port.clientError(error, socket),
      frameworkErrors: (error, request, reply) => {
        // Their types are as wide as a request may be wrong.
        const [asked, answer] = [request as FastifyRequest, reply as FastifyReply];
        if (error.code === "FST_ERR_BAD_URL") refusePath(asked, answer);
        else errors.send(answer, error);
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
    engine.setErrorHandler((error, _request, reply) => errors.send(reply, error));
    this.fastify = engine;
    this.#watch(engine);
    this.#mountLast(engine);
  }

  /**
   * Puts `serve` behind everything that is on the engine when it is made ready, by `start()` or by `inject`, without
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
    const { errors, mount } = this.#options;
    const { prepare, serve, addHooks } = mount;
    void this.fastify.register(async (scope) => {
      prepare();
      const all = this.ownRoutes.find(({ url }) => url === "*" || url === "/*");
      if (all !== undefined) {
        throw new SetupError(
          `HTTP: the route ${all.method} ${all.url} of your own leaves no path to the rpcs: give it a narrower one`,
        );
      }
      addHooks(scope);
      leaveBodies(scope);
      this.#mounting = true;
      scope.route({
        method: scope.supportedMethods,
        url: "*",
        handler: serve,
        errorHandler: (error, _request, reply) => errors.send(reply, error),
        preParsing: hideContentType,
      });
      this.#mounting = false;
    });
  }

  #createServer(handler: RequestListener): Server {
    const { port, answer } = this.#options;
    return port.createServer((request, response) => {
      const exchange = response as Exchange; // The port makes its responses of this class.
      if (!(this.#isOurs(request) && answer(request, exchange))) handler(request, response);
    });
  }

  /** Whether nothing of the user's own can have a say in a request. */
  #isOurs({ url = "" }: IncomingMessage): boolean {
    const paths = this.#ownPaths;
    if (paths === undefined) return false;
    if (paths.size === 0) return true;
    const path = pathOf(url);
    return !path.includes("%") && !paths.has(path); // The engine would decode it first.
  }

  /** Learns what the user adds, in plugins too. */
  #watch(engine: FastifyInstance): void {
    engine.addHook("onRoute", ({ method, url, constraints }) => {
      if (this.#mounting) return;
      if (constraints === undefined) {
        for (const name of [method].flat()) this.ownRoutes.push({ method: name.toUpperCase(), url });
      }
      if (/[:*(]/.test(url) || constraints !== undefined) this.#ownPaths = undefined;
      else this.#ownPaths?.add(url);
    });
    const own = engine as { addHook: AddHook };
    const { addHook } = own;
    const see = (name: string): void => {
      if (!applicationHooks.has(name)) this.#ownPaths = undefined;
    };
    own.addHook = function (name, hook) {
      see(name);
      return addHook.call(this, name, hook);
    };
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
