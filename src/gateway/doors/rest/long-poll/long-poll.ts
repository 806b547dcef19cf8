import { readEach } from "../../../../core/call/batches.ts";
import { compileByteStreamInvoker, compileStreamInvoker } from "../../../../core/call/stream-invoker.ts";
import type { CallContext } from "../../../../core/call/context.ts";
import { compileMessageBinder } from "../../../binding/message-binder.ts";
import { jsonTextEncoder } from "../../../binding/reply-encoder.ts";
import {
  type HttpExchange,
  type RequestHead,
  type ResponseHeaders,
  setField,
} from "../../../http/exchange.ts";
import { namesEvents } from "../../../http/media-type.ts";
import { type Route, routeName } from "../../../../core/http-rule/route.ts";
import type { RouteCall } from "../../../routing/route-call.ts";
import { requestedTimeoutMs } from "../../deadline.ts";
import { callKind, type DoorKit } from "../../door-kit.ts";
import { admitCall, openCall, requestComplete } from "../../open-call.ts";
import { compileReplyText } from "../../reply-text.ts";
import { compileBodySource, compileByteBodySource } from "../streams/body-source.ts";
import type { RouteHandler } from "../unary/unary.ts";
import { type Batch, PolledStream } from "./polled-stream.ts";
import type { OpenPoll, PolledStreams } from "./polled-streams.ts";
import { preferredWait } from "./prefer.ts";

/** Name of the header that continues a stream: in an answer, and in the request for the next messages. */
const resumeToken = "x-resume-token";

/** Whether a request asks for long polling: it has `Prefer: wait` and does not accept event streams. */
export function asksForPoll({ headers }: Pick<RequestHead, "headers">): boolean {
  if (headers["prefer"] === undefined || preferredWait(headers["prefer"]) === undefined) return false;
  return !namesEvents(headers.accept);
}

/**
 * Long polling of a server stream, for requests with `Prefer: wait=SECONDS` (RFC 7240).
 *
 * The answer is sent as soon as there are messages: 200 with a JSON array of them, or 204 if there were none in that
 * time. Its header `X-Resume-Token` continues the stream in the next request to the same URL; an answer without it is
 * the last. A token that is used again, because its answer was lost, returns the same messages again. A token is valid
 * for this process, the same route and the same `Authorization`; any other, and one that was not used for `pollIdleMs`,
 * is 410. An error of the stream is a separate answer, after all messages before it.
 */
export function longPollRoute(route: Route, kit: DoorKit, polled: PolledStreams): RouteHandler {
  const { errors, polling, replyMetadata } = kit;
  const open = compileOpen(route, kit, polled);
  const name = routeName(route);

  const serve = async (call: RouteCall, exchange: HttpExchange): Promise<void> => {
    const { headers: requestHeaders } = exchange.head;
    const waitMs = Math.min((preferredWait(requestHeaders["prefer"]) ?? 0) * 1000, polling.maxPollWaitMs);
    const owner = `${name} ${requestHeaders.authorization ?? ""}`;
    const token = requestHeaders[resumeToken];
    let poll: OpenPoll | undefined;
    try {
      let after = 0;
      if (token === undefined) poll = polled.add(await open(call, exchange), owner);
      else {
        ({ poll, after } = polled.find(String(token), owner));
        exchange.head.continues = true;
        poll.stream.context.connection?.seen();
      }
      const { stream } = poll;
      const batch = await nextBatch(poll, exchange, after, waitMs);
      if (exchange.destroyed) {
        // A client without a token cannot continue its stream.
        if (token === undefined) polled.remove(poll);
        else polled.expectNext(poll);
        return;
      }
      const { responseHeaderIfAny: header, responseTrailerIfAny: trailer } = stream.context;
      const headers: ResponseHeaders = {};
      const set = (key: string, value: string): void => setField(headers, key, value);
      if (header !== undefined) replyMetadata.headers(header, set);
      if (batch.isLast && trailer !== undefined) replyMetadata.trailersAsHeaders(trailer, set);
      headers["preference-applied"] = `wait=${Math.floor(waitMs / 1000)}`;
      headers["vary"] = "prefer";
      if (!batch.isLast) headers[resumeToken] = `${poll.id}.${batch.number}`;
      sendBatch(batch, headers, exchange);
      // The client may request the last messages again.
      if (batch.isLast && batch.texts.length === 0) polled.remove(poll);
      else polled.expectNext(poll);
    } catch (reason) {
      if (poll !== undefined) polled.remove(poll);
      errors.send(exchange, reason);
    }
  };
  return (call, exchange) => void serve(call, exchange);
}

/** Waits for the next batch; the wait ends early when the client disconnects or the server stops. */
async function nextBatch(
  { stream }: OpenPoll,
  exchange: HttpExchange,
  after: number,
  waitMs: number,
): Promise<Batch> {
  const cut = (): void => stream.cutWait();
  const unsubscribe = exchange.onClose(cut);
  exchange.onStop = cut;
  try {
    return await stream.next(after, exchange.stopping === undefined ? waitMs : 0);
  } finally {
    unsubscribe();
    exchange.onStop = undefined;
  }
}

/** Begins the call of a first request. */
function compileOpen(
  route: Route,
  kit: DoorKit,
  polled: PolledStreams,
): (call: RouteCall, exchange: HttpExchange) => Promise<PolledStream> {
  const { requestMetadata, polling } = kit;
  const { method } = route;
  const kind = callKind(method, "rest", kit);
  const begin = compileTexts(route, kit);
  return async (call, exchange) => {
    const { headers } = exchange.head;
    polled.checkLimit();
    const askedMs = requestedTimeoutMs(headers);
    requestMetadata.check(headers);
    // Attached to the exchange: a client that disconnects before it has a token cannot continue.
    const context = openCall(kind, exchange, askedMs, () => requestMetadata.of(headers));
    try {
      const admitted = admitCall(kind, "long-poll", exchange, context, route.template.text);
      if (admitted !== undefined) await admitted;
      const texts = await begin(call, exchange);
      requestComplete(context, kind);
      return new PolledStream({
        messages: texts(context),
        context,
        bufferBytes: polling.pollBufferBytes,
      });
    } catch (reason) {
      context.end();
      throw reason;
    }
  };
}

/** The replies of a call as JSON texts, those that arrived together at once. */
type Texts = (context: CallContext) => AsyncIterable<readonly string[]>;

/** Compiles how requests are read, and the calls made with them. */
function compileTexts(
  route: Route,
  kit: DoorKit,
): (call: RouteCall, exchange: HttpExchange) => Promise<Texts> {
  const { method } = route;
  const binder = compileMessageBinder(route, kit.binding);
  const json = { ...kit.json, indent: 0 };
  const runBytes = kit.transcoding === "messages" ? undefined : compileByteStreamInvoker(kit.invoker, method);
  if (runBytes !== undefined) {
    const source = compileByteBodySource(route, binder, kit);
    const textOf = compileReplyText(route, method, json);
    return async (call, exchange) => {
      const requests = await source(call, exchange);
      return (context) =>
        runBytes(requests, context, (batch) => {
          const texts = readEach(batch, textOf);
          context.sent += texts.length;
          return texts;
        });
    };
  }
  const source = compileBodySource(route, binder, kit);
  const run = compileStreamInvoker(kit.invoker, method);
  const textOf = jsonTextEncoder(route, method, json);
  return async (call, exchange) => {
    const requests = await source(call, exchange);
    return (context) =>
      run(requests, context, (message) => {
        context.sent++;
        return [textOf(message)];
      });
  };
}

function sendBatch({ texts }: Batch, headers: ResponseHeaders, exchange: HttpExchange): void {
  headers["cache-control"] = "no-store";
  if (texts.length === 0) {
    exchange.respond(204, headers, undefined);
    return;
  }
  headers["content-type"] = "application/json";
  exchange.respond(200, headers, `[${texts.join(",")}]`);
}
