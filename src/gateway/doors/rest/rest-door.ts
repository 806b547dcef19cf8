import type { DescMethodUnary } from "@bufbuild/protobuf";
import { repliesRawBody, takesRawBody } from "../../binding/http-body.ts";
import type { HttpExchange, RequestHead } from "../../http/exchange.ts";
import { grpcRefusal } from "../../http/grpc-refusal.ts";
import { HttpError } from "../../http/http-error.ts";
import { namesEvents } from "../../http/media-type.ts";
import { answerOtherMethod } from "../../http/other-method.ts";
import { pathOf } from "../../../core/net/request-target.ts";
import type { Route } from "../../routing/route.ts";
import { isDecodable, malformedPath, type Router } from "../../routing/router.ts";
import type { MakeDoor } from "../door.ts";
import type { DoorKit } from "../door-kit.ts";
import type { ServedRpcs } from "../served-rpcs.ts";
import { isForm } from "./forms/form-parts.ts";
import { asksForPoll, longPollRoute } from "./long-poll/long-poll.ts";
import { PolledStreams } from "./long-poll/polled-streams.ts";
import { streamRoute } from "./streams/stream-route.ts";
import { type RouteHandler, unaryRoute } from "./unary/unary.ts";

/** REST: the routes from the HTTP rules of the rpcs. It claims every request. */
export const restDoor: MakeDoor = (kit) => {
  const polled = new PolledStreams(kit.polling);
  return {
    name: "rest",
    claims: () => true,
    serve(rpcs) {
      const { router } = rpcs;
      const handlers = new Map<Route, RouteHandler>();
      for (const route of router.routes) {
        const own = rpcs.kitOf(route.method, route.template.text, kit);
        handlers.set(route, routeHandler(route, own, polled));
      }
      return (exchange) => {
        const { method, url } = exchange.head;
        const match = router.match(method, url);
        const handle = match.kind === "found" ? handlers.get(match.route) : undefined;
        if (match.kind !== "found" || handle === undefined) {
          refuse(match, rpcs, exchange, kit);
        } else if (method === "OPTIONS" && kit.browsers.cors?.isPreflight(exchange.head) === true) {
          // A preflight does not call an rpc with a route for OPTIONS.
          answerOtherMethod(askedFor(router, exchange.head), exchange, kit.errors);
        } else {
          exchange.route = match.route.template.text;
          handle(match, exchange);
        }
        return true;
      };
    },
    close: () => polled.close(),
  };
};

/** Answers a request without a matching route. */
function refuse(
  match: ReturnType<Router["match"]>,
  rpcs: ServedRpcs,
  exchange: HttpExchange,
  { errors }: DoorKit,
): void {
  const { method, url } = exchange.head;
  if (match.kind === "bad-path") {
    errors.send(exchange, match.error);
  } else if (!isDecodable(pathOf(url))) {
    errors.send(exchange, malformedPath());
  } else if (match.kind === "method-not-allowed") {
    const all =
      method === "OPTIONS" ? [...new Set([...match.allow, ...rpcs.methodsAt(url)])].sort() : match.allow;
    answerOtherMethod(all, exchange, errors);
  } else {
    errors.send(exchange, new HttpError(404, `no route for ${method} ${pathOf(url)}`));
  }
}

/** The method that a preflight requests, if there is a route for it. */
function askedFor(router: Router, { headers, url }: RequestHead): readonly string[] {
  const method = headers["access-control-request-method"] ?? "";
  return router.match(method, url).kind === "found" ? [method] : [];
}

/**
 * The handler of a route, chosen once by the kind of its rpc. The handler of streams also serves unary rpcs with event
 * streams, raw bodies and forms.
 */
function routeHandler(route: Route, kit: DoorKit, polled: PolledStreams): RouteHandler {
  const handle = handlerByKind(route, kit, polled);
  return (call, exchange) => {
    const refusal = grpcRefusal(exchange.head);
    if (refusal === undefined) handle(call, exchange);
    else kit.errors.send(exchange, refusal);
  };
}

function handlerByKind(route: Route, kit: DoorKit, polled: PolledStreams): RouteHandler {
  const { methodKind } = route.method;
  const stream = streamRoute(route, kit);
  if (methodKind === "server_streaming" && !repliesRawBody(route)) {
    const poll = longPollRoute(route, kit, polled);
    return (call, exchange) => (asksForPoll(exchange.head) ? poll : stream)(call, exchange);
  }
  if (methodKind !== "unary" || takesRawBody(route) || repliesRawBody(route)) return stream;
  const unary = unaryRoute(route, route.method as DescMethodUnary, kit); // Its kind is "unary".
  return (call, exchange) => {
    const { accept, "content-type": type } = exchange.head.headers;
    const special = namesEvents(accept) || (type !== undefined && isForm(type));
    (special ? stream : unary)(call, exchange);
  };
}
