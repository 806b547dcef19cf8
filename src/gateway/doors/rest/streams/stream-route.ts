import type { CallContext } from "../../../../core/call/context.ts";
import { compileStreamInvoker } from "../../../../core/call/stream-invoker.ts";
import { repliesRawBody } from "../../../binding/http-body.ts";
import { compileMessageBinder, type MessageBinder } from "../../../binding/message-binder.ts";
import { jsonTextEncoder } from "../../../binding/reply-encoder.ts";
import type { HttpExchange } from "../../../http/exchange.ts";
import { binaryReplyType } from "../../../http/media-type.ts";
import type { Route } from "../../../routing/route.ts";
import type { RouteCall } from "../../../routing/route-call.ts";
import { requestedTimeoutMs } from "../../deadline.ts";
import type { DoorKit } from "../../door-kit.ts";
import { type CallKind, openCall, requestComplete, whileReading } from "../../open-call.ts";
import type { Answer } from "../answers/answer.ts";
import { BufferedAnswer } from "../answers/buffered-answer.ts";
import { compileEncodings } from "../answers/encodings.ts";
import { SingleAnswer } from "../answers/single-answer.ts";
import { StreamAnswer } from "../answers/stream-answer.ts";
import type { MessageText } from "../answers/stream-encoding.ts";
import type { RequestMessages } from "../bodies/request-source.ts";
import { compileRawAnswer } from "../files/raw-answers.ts";
import { rangeHeaders } from "../files/raw-headers.ts";
import { replyWriter, type RouteHandler } from "../unary/unary.ts";
import { compileBodySource } from "./body-source.ts";

/**
 * Handles streams over HTTP: chooses an encoding, binds the messages of the request, calls, writes each reply as it
 * arrives, and catches every error in one place. It serves rpcs of every kind; for those with one reply the answer is
 * JSON or, if the client prefers it, one event.
 *
 * @throws Error as `compileEventId`
 */
export function streamRoute(route: Route, kit: DoorKit): RouteHandler {
  const { invoker, errors, requestMetadata } = kit;
  const { method } = route;
  const kind: CallKind = { method, protocolName: "rest", limits: kit.limits };
  const binder = compileMessageBinder(route, kit.binding);
  const source = compileBodySource(route, binder, kit);
  const run = compileStreamInvoker(invoker, method);
  const rawReply = repliesRawBody(route);
  const rawAnswer = rawReply ? compileRawAnswer(route, kit) : undefined;
  const answerOf: AnswerOf =
    rawAnswer === undefined ? compileAnswer(route, binder, kit) : (_call, exchange) => rawAnswer(exchange);
  const forwarded = rawReply ? rangeHeaders : undefined;

  const serve = async (call: RouteCall, exchange: HttpExchange): Promise<void> => {
    const { headers } = exchange.head;
    let context: CallContext | undefined;
    let answer: Answer | undefined;
    let requests: RequestMessages | undefined;
    try {
      const makeAnswer = answerOf(call, exchange);
      const askedMs = requestedTimeoutMs(headers);
      requestMetadata.check(headers);
      context = openCall(kind, exchange, askedMs, () => requestMetadata.of(headers, forwarded));
      requests = await whileReading(context, source(call, exchange));
      requestComplete(context, kind);
      const begun = (answer = makeAnswer(context));
      for await (const payload of run(requests, context, (message) => begun.write(message))) {
        const written = begun.message(payload);
        if (written !== undefined) await context.race(written);
      }
      await begun.end();
    } catch (reason) {
      // An error of the request has caused the error of the call.
      const error = requests?.failure ?? reason;
      if (answer === undefined) errors.send(exchange, error);
      else await answer.fail(error);
    } finally {
      context?.end();
    }
  };
  return (call, exchange) => void serve(call, exchange);
}

/** Chooses the answer of a request before its call begins. Throws HttpError 406. */
type AnswerOf = (call: RouteCall, exchange: HttpExchange) => (context: CallContext) => Answer;

function compileAnswer(route: Route, binder: MessageBinder, kit: DoorKit): AnswerOf {
  const { errors, replyMetadata, streams } = kit;
  const { streamCoding } = kit.browsers;
  const encodings = compileEncodings(route, (error) => errors.statusText(error), kit);
  const textOf = messageTexts(route, binder, kit);
  const replies = replyWriter(route, route.method, kit, binder);
  const { methodKind } = route.method;
  const answersOnce = methodKind === "unary" || methodKind === "client_streaming";
  return (call, exchange) => {
    const { headers, httpVersion } = exchange.head;
    const oldClient = httpVersion === "1.0";
    const encoding = answersOnce
      ? encodings.forSingle(headers.accept)
      : encodings.forStream(headers.accept, oldClient);
    if (encoding === undefined) {
      const type = binaryReplyType(headers.accept, undefined);
      return (context) =>
        new SingleAnswer(exchange, errors, replies.encoder(call.query, type), (payload) =>
          replies.send(payload, context, type, exchange),
        );
    }
    const encoder = encoding.begin({
      messageText: textOf(call),
      lastEventId: single(headers["last-event-id"]),
    });
    const common = { encoding, encoder, exchange, errors, replyMetadata };
    if (oldClient && !encoding.endsVisibly) {
      return (context) => new BufferedAnswer({ ...common, context, maxBytes: streams.maxBufferedBytes });
    }
    const coding = streamCoding?.(exchange.head);
    return (context) => new StreamAnswer({ ...common, context, options: streams, coding });
  };
}

/** The JSON text of the messages of a call: on one line each, whatever indentation is set. */
function messageTexts(
  route: Route,
  binder: MessageBinder,
  { json, binding }: DoorKit,
): (call: RouteCall) => MessageText {
  const usual = jsonTextEncoder(route, route.method, { ...json, indent: 0 });
  if (!binding.systemParameters) return () => usual;
  const numbers = jsonTextEncoder(route, route.method, { ...json, indent: 0, enums: "number" });
  return ({ query }) => (binder.systemParameters(query).enumsAsNumbers ? numbers : usual);
}

function single(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" ? value : value?.[0];
}
