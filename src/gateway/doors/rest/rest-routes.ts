import type { DescMethodUnary } from "@bufbuild/protobuf";
import { repliesRawBody, takesRawBody } from "../../binding/http-body.ts";
import { namesEvents } from "../../http/media-type.ts";
import { grpcRefusal } from "../../http/grpc-refusal.ts";
import type { Route } from "../../routing/route.ts";
import { isForm } from "./forms/form-parts.ts";
import { asksForPoll, longPollRoute, type LongPollRouteOptions } from "./long-poll/long-poll.ts";
import { PolledStreams } from "./long-poll/polled-streams.ts";
import { streamRoute } from "./streams/stream-route.ts";
import { type RouteHandler, unaryRoute, type WholeHandler } from "./unary/unary.ts";

export { PolledStreams };

/** What the routes of REST are made of. */
export type RestRouteOptions = LongPollRouteOptions;

/** Who answers the requests of one route. */
export interface RestHandlers {
  readonly handle: RouteHandler;
  /** The same for calls with JSON that are answered whole; undefined for rpcs that stream or carry files. */
  readonly whole: WholeHandler | undefined;
}

/** The kind of the rpc decides here, once, who serves a route. */
export function restHandlers(route: Route, options: RestRouteOptions): RestHandlers {
  const { errors } = options;
  const whole = isWhole(route) ? unaryRoute(route, route.method as DescMethodUnary, options) : undefined; // As its kind says.
  const serve = handlerOf(route, options, whole);
  return {
    whole,
    handle(call, request, reply) {
      const refusal = grpcRefusal(request.raw);
      if (refusal === undefined) serve(call, request, reply);
      else errors.send(reply, refusal);
    },
  };
}

/** Whether calls of a route have one message in each direction, and neither is a file. */
function isWhole(route: Route): boolean {
  return route.method.methodKind === "unary" && !takesRawBody(route) && !repliesRawBody(route);
}

/**
 * The handler of a route by the kind of its rpc; a unary one is a stream of one event where that is asked for,
 * and of one file or form where its bodies are no JSON.
 */
function handlerOf(route: Route, options: RestRouteOptions, whole: WholeHandler | undefined): RouteHandler {
  const stream = streamRoute(route, options);
  if (route.method.methodKind === "server_streaming" && !repliesRawBody(route)) {
    const poll = longPollRoute(route, options);
    return (call, request, reply) => (asksForPoll(request.raw) ? poll : stream)(call, request, reply);
  }
  if (whole === undefined) return stream;
  return (call, request, reply) => {
    const { accept, "content-type": type } = request.raw.headers;
    const special = namesEvents(accept) || (type !== undefined && isForm(type));
    const handler = special ? stream : whole;
    handler(call, request, reply);
  };
}
