import {
  fastify,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type RouteHandlerMethod,
} from "fastify";
import { METHODS } from "../core/node-http.ts";
import type { ErrorWriter } from "./error-writer.ts";
import type { PortGuard } from "./port-guard.ts";

/** Options of `createEngine`. */
export interface EngineOptions {
  readonly guard: PortGuard;
  readonly errors: ErrorWriter;
  /** The largest body that routes of the user's own may have, in bytes. */
  readonly maxBodyBytes: number;
}

/** A Fastify whose sockets are guarded, whose errors look like all others, and that knows every HTTP method. */
export function createEngine({ guard, errors, maxBodyBytes }: EngineOptions): FastifyInstance {
  const engine = fastify({
    serverFactory: (handler) => guard.createServer(handler),
    clientErrorHandler: (error, socket) => guard.clientError(error, socket),
    frameworkErrors: (error, _request, reply) => errors.send(reply, error),
    bodyLimit: maxBodyBytes,
    return503OnClosing: false,
  });
  for (const method of METHODS) {
    if (method === "CONNECT" || engine.supportedMethods.includes(method)) continue;
    engine.addHttpMethod(method, { hasBody: true });
  }
  engine.setErrorHandler((error, _request, reply) => errors.send(reply, error));
  return engine;
}

/**
 * Puts `serve` behind everything that is on the engine by now: one route that matches every path and method, without
 * the engine's reading of bodies.
 *
 * @param addHooks adds hooks that only concern these requests
 * @param anyContentType whether bodies of any content type reach `serve`, malformed ones too
 */
export function mountBehind(
  engine: FastifyInstance,
  serve: RouteHandlerMethod,
  errors: ErrorWriter,
  anyContentType: boolean,
  addHooks: (scope: FastifyInstance) => void,
): void {
  void engine.register(async (scope) => {
    addHooks(scope);
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", (_request, _payload, done) => done(null)); // The rpc's story reads it.
    scope.route({
      method: scope.supportedMethods,
      url: "*",
      handler: serve,
      errorHandler: (error, _request, reply) => errors.send(reply, error),
      ...(anyContentType ? { onRequest: acceptAnyType } : {}),
    });
  });
}

/** The engine refuses content types that are malformed before our reading of bodies could be lenient. */
function acceptAnyType(request: FastifyRequest, _reply: FastifyReply, done: () => void): void {
  request.headers = { "content-type": "application/json" };
  done();
}
