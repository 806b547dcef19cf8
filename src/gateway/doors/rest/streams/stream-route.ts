import type { Message } from "@bufbuild/protobuf";
import type { CallContext } from "../../../../core/call/context.ts";
import { forEachOf, type Sink } from "../../../../core/call/layered-stream.ts";
import { compileByteStreamInvoker, compileStreamInvoker } from "../../../../core/call/stream-invoker.ts";
import type { JsonWriteOptions } from "../../../../core/codec/message-to-json.ts";
import { repliesRawBody } from "../../../binding/http-body.ts";
import { compileMessageBinder, type MessageBinder } from "../../../binding/message-binder.ts";
import { jsonTextEncoder } from "../../../binding/reply-encoder.ts";
import type { StreamLimit } from "../../options/stream-options.ts";
import type { HttpExchange } from "../../../http/exchange.ts";
import { binaryReplyType } from "../../../http/media-type.ts";
import type { Route } from "../../../../core/http-rule/route.ts";
import type { RouteCall } from "../../../routing/route-call.ts";
import { requestedTimeoutMs } from "../../deadline.ts";
import { callKind, type DoorKit } from "../../door-kit.ts";
import { admitCall, bodySeen, openCall, requestComplete, whileReading } from "../../open-call.ts";
import type { Answer, ByteAnswer } from "../answers/answer.ts";
import { BufferedAnswer } from "../answers/buffered-answer.ts";
import { compileEncodings } from "../answers/encodings.ts";
import { compilePieceReader } from "../answers/piece-reader.ts";
import { SingleByteAnswer } from "../answers/single-answer.ts";
import { StreamAnswer } from "../answers/stream-answer.ts";
import type { MessageText } from "../answers/stream-encoding.ts";
import type { RequestSource } from "../bodies/request-source.ts";
import type { RequestMessages } from "../bodies/uploaded-messages.ts";
import { compileRawAnswer } from "../files/raw-answers.ts";
import { rangeHeaders } from "../files/raw-headers.ts";
import { replyWriter } from "../unary/reply-writer.ts";
import type { RouteHandler } from "../unary/unary.ts";
import { usualStatusOf } from "../usual-status.ts";
import { isRefusedForNow, isTopic, takeLastEventId, withLastEventId } from "./topic-requests.ts";
import { compileBodySource, compileByteBodySource } from "./body-source.ts";

/**
 * Handles streams over HTTP: chooses an encoding, binds the messages of the request, calls, writes each reply as it
 * arrives, and catches every error in one place. It serves rpcs of every kind; for those with one reply the answer is
 * JSON or, if the client prefers it, one event.
 *
 * @throws Error as `compileEventId`
 */
export function streamRoute(route: Route, kit: DoorKit): RouteHandler {
  const { invoker, transcoding } = kit;
  const { method } = route;
  const binder = compileMessageBinder(route, kit.binding);
  if (!repliesRawBody(route)) {
    const answerOf = compileAnswer(route, binder, kit);
    const runBytes = transcoding === "messages" ? undefined : compileByteStreamInvoker(invoker, method);
    if (runBytes === undefined)
      return streamHandler(route, kit, { ...messages(route, binder, kit), answerOf });
    return streamHandler(route, kit, {
      answerOf,
      source: compileByteBodySource(route, binder, kit),
      run: (requests, context, answer) =>
        runBytes(requests, context, (batch) => {
          const before = batch.read;
          const payload = answer.read(batch);
          context.sent += batch.read - before;
          return payload;
        }),
    });
  }
  const raw = compileRawAnswer(route, kit);
  return streamHandler(route, kit, {
    ...messages(route, binder, kit),
    answerOf: (_call, exchange) => ({ door: "rest", make: raw(exchange) }),
    forwarded: rangeHeaders,
  });
}

/** What a stream is made of: requests of the type `M`, and what answers. */
interface StreamParts<M, A extends Answer> {
  readonly answerOf: AnswerOf<A>;
  readonly source: RequestSource<M>;
  readonly run: (requests: AsyncIterable<M>, context: CallContext, answer: A) => AsyncIterable<unknown>;
  /** Further headers of the request that become metadata. */
  readonly forwarded?: typeof rangeHeaders;
}

/** Decides how a request is answered, before its call begins. Throws HttpError 406. */
type AnswerOf<A> = (call: RouteCall, exchange: HttpExchange) => ChosenAnswer<A>;

interface ChosenAnswer<A> {
  readonly door: "rest" | "sse" | "ndjson";
  readonly make: (context: CallContext) => A;
}

/** Streams whose messages are built. */
function messages(
  route: Route,
  binder: MessageBinder,
  kit: DoorKit,
): Pick<StreamParts<Message, Answer>, "source" | "run"> {
  const run = compileStreamInvoker(kit.invoker, route.method);
  return {
    source: compileBodySource(route, binder, kit),
    run: (requests, context, answer) =>
      run(requests, context, (message) => {
        context.sent++;
        return answer.write(message);
      }),
  };
}

function streamHandler<M, A extends Answer>(
  { method, template }: Route,
  kit: DoorKit,
  { answerOf, source, run, forwarded }: StreamParts<M, A>,
): RouteHandler {
  const { errors, requestMetadata, streams } = kit;
  const kind = callKind(method, "rest", kit);
  const resumes = isTopic(method);

  const serve = async (called: RouteCall, exchange: HttpExchange): Promise<void> => {
    const { headers } = exchange.head;
    const { query, id } = resumes ? takeLastEventId(called.query) : { query: called.query, id: undefined };
    const call = id === undefined ? called : { ...called, query };
    let context: CallContext | undefined;
    let make: ChosenAnswer<A>["make"] | undefined;
    let answer: A | undefined;
    let requests: RequestMessages<M> | undefined;
    let entered: StreamLimit | undefined;
    try {
      const chosen = answerOf(call, exchange);
      const { door } = chosen;
      make = chosen.make;
      if (streams.streamLimit !== undefined && door !== "rest") {
        streams.streamLimit.enter();
        entered = streams.streamLimit;
      }
      const askedMs = requestedTimeoutMs(headers);
      requestMetadata.check(headers);
      context = openCall(kind, exchange, askedMs, () =>
        withLastEventId(requestMetadata.of(headers, forwarded), id),
      );
      const admitted = admitCall(kind, door, exchange, context, template.text);
      if (admitted !== undefined) await admitted;
      const { changeQuery } = context;
      const asked = changeQuery === undefined ? call : { ...call, query: changeQuery(call.query) };
      requests = await whileReading(context, source(asked, exchange));
      const seen = bodySeen(context, exchange, undefined);
      if (seen !== undefined) await seen;
      requestComplete(context, kind);
      answer = make(context);
      await forEachOf(run(requests, context, answer), messageSink(answer, context));
      context.received = requests.count;
      await answer.end();
    } catch (reason) {
      // An error of the request has caused the error of the call.
      const error = requests?.failure ?? reason;
      if (context !== undefined) context.received = requests?.count ?? 0;
      if (resumes && make !== undefined && context !== undefined) answer ??= make(context);
      if (answer === undefined) errors.send(exchange, error);
      else await answer.fail(error);
    } finally {
      entered?.leave();
      context?.end();
    }
  };
  return (call, exchange) => void serve(call, exchange);
}

/** Passes payloads to an answer; a wait for its client ends with the call. */
function messageSink(answer: Answer, context: CallContext): Sink<unknown> {
  return (payload) => {
    const written = answer.message(payload);
    return written && context.race(written);
  };
}

function compileAnswer(route: Route, binder: MessageBinder, kit: DoorKit): AnswerOf<ByteAnswer> {
  const { errors, replyMetadata, streams } = kit;
  const { method } = route;
  const { streamCoding } = kit.browsers;
  const encodings = compileEncodings(route, (error) => errors.statusText(error), kit);
  const printerOf = printers(route, binder, kit);
  const replies = replyWriter(route, method, kit, binder);
  const usualStatus = usualStatusOf(method);
  const comesBack = isTopic(method) ? isRefusedForNow : undefined;
  const { methodKind } = method;
  const answersOnce = methodKind === "unary" || methodKind === "client_streaming";
  return (call, exchange) => {
    const { headers, httpVersion } = exchange.head;
    const oldClient = httpVersion === "1.0";
    const encoding = answersOnce
      ? encodings.forSingle(headers.accept)
      : encodings.forStream(headers.accept, oldClient);
    if (encoding === undefined) {
      const type = binaryReplyType(headers.accept, undefined);
      const make = (context: CallContext): ByteAnswer => {
        const { encode, read } = replies.codec(call.query, type);
        const send = (payload: string | Buffer): void => replies.send(payload, context, type, exchange);
        return new SingleByteAnswer(exchange, errors, encode, (batch) => read(batch.next()), send);
      };
      return { door: "rest", make };
    }
    const { door } = encoding;
    const { messageText, readerOf } = printerOf(call);
    const encoder = encoding.begin({ messageText, lastEventId: single(headers["last-event-id"]) });
    const read = readerOf(encoder);
    const common = { encoding, encoder, read, exchange, errors, replyMetadata, usualStatus, comesBack };
    if (oldClient && !encoding.endsVisibly) {
      const { maxBufferedBytes: maxBytes } = streams;
      return { door, make: (context) => new BufferedAnswer({ ...common, context, maxBytes }) };
    }
    const coding = streamCoding?.(exchange.head);
    return { door, make: (context) => new StreamAnswer({ ...common, context, options: streams, coding }) };
  };
}

/** What prints the messages of a stream, from either form. */
interface Printer {
  readonly messageText: MessageText;
  readonly readerOf: ReturnType<typeof compilePieceReader>;
}

/** The printer of a call: of messages on one line each, whatever indentation is set. */
function printers(
  route: Route,
  binder: MessageBinder,
  { json, binding }: DoorKit,
): (call: RouteCall) => Printer {
  // The same options as those of sockets, where they are: what is written for both is written once.
  const usual = printer(route, json.indent === 0 ? json : { ...json, indent: 0 });
  if (!binding.systemParameters) return () => usual;
  const numbers = printer(route, { ...json, indent: 0, enums: "number" });
  return ({ query }) => (binder.systemParameters(query).enumsAsNumbers ? numbers : usual);
}

function printer(route: Route, json: Partial<JsonWriteOptions>): Printer {
  return {
    messageText: jsonTextEncoder(route, route.method, json),
    readerOf: compilePieceReader(route, route.method, json),
  };
}

function single(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" ? value : value?.[0];
}
