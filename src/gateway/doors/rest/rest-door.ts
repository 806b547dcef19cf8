import type { DescMethodUnary } from "@bufbuild/protobuf";
import { repliesRawBody, takesRawBody } from "../../binding/http-body.ts";
import type { HttpExchange, RequestHead } from "../../http/exchange.ts";
import { grpcRefusal } from "../../http/grpc-refusal.ts";
import { HttpError } from "../../http/http-error.ts";
import { namesEvents } from "../../http/media-type.ts";
import { answerOtherMethod } from "../../http/other-method.ts";
import { rpcName } from "../../../core/call/service.ts";
import { sumOfReports } from "../../../core/lifecycle/lifecycle.ts";
import { pathOf } from "../../../core/net/request-target.ts";
import type { Route } from "../../../core/http-rule/route.ts";
import { isDecodable, malformedPath, type Router } from "../../routing/router.ts";
import type { Door, DoorHandler, MakeDoor } from "../door.ts";
import type { DoorKit } from "../door-kit.ts";
import type { ServedRpcs } from "../served-rpcs.ts";
import { compileEventId } from "./answers/event-id.ts";
import { isForm } from "./forms/form-parts.ts";
import { asksForPoll, longPollRoute } from "./long-poll/long-poll.ts";
import { PolledStreams } from "./long-poll/polled-streams.ts";
import { streamRoute } from "./streams/stream-route.ts";
import { type RouteHandler, unaryRoute } from "./unary/unary.ts";
import { usualStatusOf } from "./usual-status.ts";

/** REST: the routes from the HTTP rules of the rpcs. It claims every request; where there are pages, they have the rest. */
export const restDoor: MakeDoor = (kit) => {
  const polled = new PolledStreams(kit.polling);
  const door: Door = {
    name: "rest",
    claims: () => true,
    serve(rpcs) {
      const { router } = rpcs;
      const handlers = new Map<Route, RouteHandler>();
      const whole = new Map<Route, RouteHandler>();
      const compile = (route: Route): RouteHandler => {
        const { handle, unary } = rpcs.compiled(door, route, () =>
          routeHandlers(route, rpcs.kitOf(route.method, route.template.text, kit), polled),
        );
        handlers.set(route, handle);
        if (unary !== undefined) whole.set(route, unary);
        return handle;
      };
      for (const route of rpcs.dueRoutes) compile(route);
      checkLate(rpcs, kit);
      const choose: DoorHandler["choose"] = (head) => {
        const match = router.match(head.method, head.url);
        if (rpcs.isLazy && match.kind === "found" && !handlers.has(match.route)) compile(match.route);
        const handle = match.kind === "found" ? whole.get(match.route) : undefined;
        if (match.kind !== "found" || handle === undefined || isSpecial(head)) return undefined;
        return (exchange) => {
          exchange.route = match.route.template.text;
          handle(match, exchange);
        };
      };
      const serve = (exchange: HttpExchange): boolean => {
        const { method, url } = exchange.head;
        const match = router.match(method, url);
        const handle =
          match.kind === "found" ? (handlers.get(match.route) ?? compile(match.route)) : undefined;
        if (match.kind !== "found" || handle === undefined) {
          if (match.kind === "not-found" && kit.pages?.find(url) !== undefined) return false;
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
      return Object.assign(serve, { choose });
    },
    async stop() {
      polled.answerNow();
      return sumOfReports([]); // Its calls are those of exchanges, which are counted.
    },
    close: () => polled.close(),
  };
  return door;
};

/** Looks at what is compiled later. @throws SetupError as the compilation of a route */
function checkLate(rpcs: ServedRpcs, kit: DoorKit): void {
  for (const method of new Set(rpcs.lateRoutes.map((route) => route.method))) {
    rpcs.kitOf(method, rpcName(method), kit);
    usualStatusOf(method);
    compileEventId(method.output);
  }
}

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

/** The handlers of one route. */
interface RouteHandlers {
  readonly handle: RouteHandler;
  /** Of the requests of a unary rpc that are not `isSpecial`; undefined where there are none. */
  readonly unary: RouteHandler | undefined;
}

/** The handlers of a route, chosen once by the kind of its rpc. */
function routeHandlers(route: Route, kit: DoorKit, polled: PolledStreams): RouteHandlers {
  const { handle, unary } = handlersByKind(route, kit, polled);
  return {
    unary,
    handle: (call, exchange) => {
      const refusal = grpcRefusal(exchange.head);
      if (refusal === undefined) handle(call, exchange);
      else kit.errors.send(exchange, refusal);
    },
  };
}

function handlersByKind(route: Route, kit: DoorKit, polled: PolledStreams): RouteHandlers {
  const { methodKind } = route.method;
  const stream = streamRoute(route, kit);
  if (methodKind === "server_streaming" && !repliesRawBody(route)) {
    const poll = longPollRoute(route, kit, polled);
    const handle: RouteHandler = (call, exchange) =>
      (asksForPoll(exchange.head) ? poll : stream)(call, exchange);
    return { handle, unary: undefined };
  }
  if (methodKind !== "unary" || takesRawBody(route) || repliesRawBody(route)) {
    return { handle: stream, unary: undefined };
  }
  const unary = unaryRoute(route, route.method as DescMethodUnary, kit); // As its kind says.
  const handle: RouteHandler = (call, exchange) =>
    (asksForStream(exchange.head) ? stream : unary)(call, exchange);
  return { handle, unary };
}

/**
 * Whether a request for a unary rpc asks for more than one answer in JSON: the rpc is a stream of one event where the
 * request asks for that, and of one file or form where its bodies are no JSON.
 */
function asksForStream({ headers }: RequestHead): boolean {
  const { accept, "content-type": type } = headers;
  return namesEvents(accept) || (type !== undefined && isForm(type));
}

/** Whether a request for a unary rpc is not answered by it, or not in one piece. */
function isSpecial(head: RequestHead): boolean {
  return asksForStream(head) || grpcRefusal(head) !== undefined;
}
