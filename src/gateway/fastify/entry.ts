import type { IncomingMessage, ServerResponse } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { ErrorWriter } from "../http/error-writer.ts";
import { exchangeOf, type HttpExchange } from "../http/exchange.ts";
import type { ConnectError } from "../../core/errors/errors.ts";
import { FastifyExchange } from "./fastify-exchange.ts";

/** The connection from Fastify to the doors of the gateway. */
export interface Entry {
  /** Answers a request. Never throws. */
  readonly serve: (exchange: HttpExchange) => void;
  /** The exchange of a request that arrived through no port of the gateway itself, and the error if it is refused. */
  readonly adopt: (
    request: IncomingMessage,
    response: ServerResponse,
  ) => { readonly exchange: HttpExchange; readonly refusal: ConnectError | undefined };
  readonly errors: ErrorWriter;
}

/** Passes a request of Fastify to the doors. Never throws. */
export function enter({ serve, adopt, errors }: Entry, request: FastifyRequest, reply: FastifyReply): void {
  const own = exchangeOf(reply.raw);
  if (own !== undefined) {
    serve(new FastifyExchange(own, reply));
    return;
  }
  const { exchange, refusal } = adopt(request.raw, reply.raw);
  const through = new FastifyExchange(exchange, reply);
  if (refusal === undefined) serve(through);
  else errors.send(through, refusal);
}

/** Answers a request of Fastify with an error. Never throws. */
export function sendError(
  { adopt, errors }: Entry,
  reason: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const under = exchangeOf(reply.raw) ?? adopt(request.raw, reply.raw).exchange;
  errors.send(new FastifyExchange(under, reply), reason);
}
