import type { DescMethodUnary } from "@bufbuild/protobuf";
import type { CallContext } from "../../../../core/call/context.ts";
import type { Route } from "../../../../core/http-rule/route.ts";
import { compileBinder } from "../../../binding/bind.ts";
import type { HttpExchange } from "../../../http/exchange.ts";
import { hasBody } from "../../../http/request-body.ts";
import type { RouteCall } from "../../../routing/route-call.ts";
import { requestedTimeoutMs } from "../../deadline.ts";
import { callKind, type DoorKit } from "../../door-kit.ts";
import { admitCall, bodySeen, openCall, requestComplete, whileReading } from "../../open-call.ts";
import { callRunner } from "./call-runner.ts";
import { envelopedUnary } from "./enveloped-unary.ts";
import { replyWriter } from "./reply-writer.ts";
import { bodyReader, noBody, replyTypeOf } from "./unary-body.ts";

/** Answers the requests of one route. Never throws. */
export type RouteHandler = (call: RouteCall, exchange: HttpExchange) => void;

/**
 * Handles unary calls over HTTP: binds the request, calls, encodes the reply, and writes every error in one place. All
 * parts that depend on the route are compiled once.
 */
export function unaryRoute(route: Route, method: DescMethodUnary, kit: DoorKit): RouteHandler {
  const { errors, requestMetadata } = kit;
  const kind = callKind(method, "rest", kit);
  const binder = compileBinder(route, kit.binding);
  const body = bodyReader(route, kit);
  const run = callRunner(method, kit, binder);
  const replies = replyWriter(route, method, kit, binder);
  const { text: template } = route.template;
  const serveEnveloped = envelopedUnary({ method, kit, kind, body, run, replies });

  const serve = async (call: RouteCall, exchange: HttpExchange): Promise<void> => {
    const { captures, query } = call;
    const { headers } = exchange.head;
    let context: CallContext | undefined;
    try {
      const askedMs = requestedTimeoutMs(headers);
      requestMetadata.check(headers);
      context = openCall(kind, exchange, askedMs, requestMetadata.from(headers));
      const admitted = admitCall(kind, "rest", exchange, context, template);
      if (admitted !== undefined) await admitted;
      const { envelope } = context;
      if (envelope !== undefined) {
        await serveEnveloped(call, exchange, context, envelope);
        return;
      }
      const { format, bytes } = body === undefined || !hasBody(exchange.head) ? noBody : body(exchange);
      const content = bytes && (await whileReading(context, bytes));
      const seen = bodySeen(context, exchange, () => kit.bodies.read(exchange));
      if (seen !== undefined) await whileReading(context, seen);
      requestComplete(context, kind);
      const type = replyTypeOf(headers, format);
      const { changeQuery } = context;
      const asked = changeQuery === undefined ? query : changeQuery(query);
      const request = { captures, query: asked, format, body: content };
      const payload = await run(request, context, replies.codec(query, type));
      replies.send(payload, context, type, exchange);
    } catch (reason) {
      errors.send(exchange, reason);
    } finally {
      context?.end();
    }
  };
  return (call, exchange) => void serve(call, exchange);
}
