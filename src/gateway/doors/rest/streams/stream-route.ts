import type { FastifyReply, FastifyRequest } from "fastify";
import { CallContext } from "../../../../core/call/context.ts";
import { compileBodySource, type BodySourceOptions } from "./body-source.ts";
import { callTimeOf, requestedTimeoutMs } from "../../deadline.ts";
import type { Exchange } from "../../../http/exchange.ts";
import { repliesRawBody } from "../../../binding/http-body.ts";
import { compileRawAnswer, type RawAnswerOptions } from "../files/raw-answers.ts";
import { rangeHeaders } from "../files/raw-headers.ts";
import type { Route } from "../../../routing/route.ts";
import { binaryReplyType } from "../../../http/media-type.ts";
import { jsonTextEncoder } from "../../../binding/reply-encoder.ts";
import { replyWriter, type RouteHandler } from "../unary/unary.ts";
import type { RouteCall } from "../../../routing/route-call.ts";
import type { Answer } from "../answers/answer.ts";
import { BufferedAnswer } from "../answers/buffered-answer.ts";
import { compileEncodings } from "../answers/encodings.ts";
import { compileMessageBinder, type MessageBinder } from "../../../binding/message-binder.ts";
import type { RequestMessages } from "../bodies/request-source.ts";
import { compileStreamInvoker } from "../../../../core/call/stream-invoker.ts";
import { SingleAnswer } from "../answers/single-answer.ts";
import { StreamAnswer } from "../answers/stream-answer.ts";
import type { Coding } from "../../../../core/wire/codings/coding.ts";
import type { MessageText } from "../answers/stream-encoding.ts";
import type { StreamOptions } from "../stream-options.ts";

/** What the streams of all routes share. */
export interface StreamRouteOptions
  extends BodySourceOptions, StreamOptions, Pick<RawAnswerOptions, "fileCoding"> {
  /** Streams as another gateway writes them. */
  readonly compat: "grpc-gateway" | undefined;
  /** How an answer to a request is compressed. Default: not at all. */
  readonly streamCoding?: ((request: FastifyRequest) => Coding | undefined) | undefined;
}

/**
 * The way of a stream over HTTP: choose an encoding, bind the messages of the request, call, write each reply as it
 * comes, and one catch for every error. It serves rpcs of every kind; those that answer with one message as JSON or,
 * where the client asks for it, as one event.
 *
 * @throws Error as `compileEventId`
 */
export function streamRoute(route: Route, options: StreamRouteOptions): RouteHandler {
  const { invoker, errors, requestMetadata } = options;
  const { method } = route;
  const binder = compileMessageBinder(route, options.bind);
  const source = compileBodySource(route, binder, options);
  const run = compileStreamInvoker(invoker, method);
  const rawReply = repliesRawBody(route);
  const answerOf = rawReply ? compileRawAnswer(route, options) : compileAnswer(route, binder, options);
  const forwarded = rawReply ? rangeHeaders : undefined;

  const serve = async (call: RouteCall, request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const { raw } = request;
    const { headers } = raw;
    const exchange = reply.raw as Exchange; // Every server here makes its responses of this class.
    let context: CallContext | undefined;
    let answer: Answer | undefined;
    let requests: RequestMessages | undefined;
    try {
      const makeAnswer = answerOf(call, request, reply);
      const { ownMs, defaultMs } = callTimeOf(requestedTimeoutMs(headers), options);
      requestMetadata.check(headers);
      context = exchange.context = new CallContext({
        method,
        protocolName: "rest",
        requestHeader: () => requestMetadata.of(headers, forwarded),
        peer: exchange.peer,
        requestMethod: request.method,
        url: raw.url ?? "",
        timeoutMs: ownMs,
      });
      const reading = source(call, raw, exchange);
      requests = await (ownMs === undefined ? reading : context.race(reading));
      // A client's own time runs from the arrival of its request, the default one when the request is there.
      if (defaultMs !== undefined) context.limit(defaultMs);
      const begun = (answer = makeAnswer(context));
      for await (const payload of run(requests, context, (message) => begun.write(message))) {
        const room = begun.message(payload);
        if (room !== undefined) await context.race(room);
      }
      await begun.end();
    } catch (reason) {
      // What is wrong with the request is told, not what the call made of it.
      const error = requests?.failure ?? reason;
      if (answer === undefined) errors.send(reply, error);
      else await answer.fail(error);
    } finally {
      context?.end();
    }
  };
  return (call, request, reply) => void serve(call, request, reply);
}

/** Decides how a request is answered, before its call begins. Throws HttpError 406. */
type AnswerOf = (
  call: RouteCall,
  request: FastifyRequest,
  reply: FastifyReply,
) => (context: CallContext) => Answer;

function compileAnswer(route: Route, binder: MessageBinder, options: StreamRouteOptions): AnswerOf {
  const { errors, replyMetadata } = options;
  const encodings = compileEncodings(route, (error) => errors.statusText(error), options);
  const textOf = messageTexts(route, binder, options);
  const replies = replyWriter(route, route.method, options, binder);
  const { methodKind } = route.method;
  const answersOnce = methodKind === "unary" || methodKind === "client_streaming";
  return (call, request, reply) => {
    const { headers, httpVersion } = request.raw;
    const oldClient = httpVersion === "1.0";
    const encoding = answersOnce
      ? encodings.forSingle(headers.accept)
      : encodings.forStream(headers.accept, oldClient);
    if (encoding === undefined) {
      const type = binaryReplyType(headers.accept, undefined);
      return (context) =>
        new SingleAnswer(reply, errors, replies.encoder(call, type), (payload) =>
          replies.send(payload, context, type, request, reply),
        );
    }
    const encoder = encoding.begin({
      messageText: textOf(call),
      lastEventId: single(headers["last-event-id"]),
    });
    const common = { encoding, encoder, reply, errors, replyMetadata };
    if (oldClient && !encoding.endsVisibly) {
      return (context) => new BufferedAnswer({ ...common, context, maxBytes: options.maxBufferedBytes });
    }
    const coding = options.streamCoding?.(request);
    return (context) => new StreamAnswer({ ...common, context, request, options, coding });
  };
}

/** How the messages of a call are printed: on one line each, whatever indentation is asked for. */
function messageTexts(
  route: Route,
  binder: MessageBinder,
  { json, bind }: StreamRouteOptions,
): (call: RouteCall) => MessageText {
  const usual = jsonTextEncoder(route, route.method, { ...json, indent: 0 });
  if (bind.systemParameters !== true) return () => usual;
  const numbers = jsonTextEncoder(route, route.method, { ...json, indent: 0, enums: "number" });
  return ({ query }) => (binder.systemParameters(query).enumsAsNumbers ? numbers : usual);
}

function single(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" ? value : value?.[0];
}
