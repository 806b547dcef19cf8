import { readEach } from "../../../../core/call/batches.ts";
import { compileByteStreamInvoker, compileStreamInvoker } from "../../../../core/call/stream-invoker.ts";
import type { CallContext } from "../../../../core/call/context.ts";
import { ConnectError } from "../../../../core/errors/errors.ts";
import {
  lastEventIdHeader,
  positionHeader,
  resetHeader,
  resetPosition,
  resumeHeader,
} from "../../../../core/metadata/stream-position.ts";
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
import { isTopic } from "../streams/topic-requests.ts";
import type { RouteHandler } from "../unary/unary.ts";
import { type Batch, PolledStream } from "./polled-stream.ts";
import { isOpaque, type OpenPoll, type PolledStreams } from "./polled-streams.ts";
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
  const topic = isTopic(route.method);
  const name = routeName(route);

  const serve = async (call: RouteCall, exchange: HttpExchange): Promise<void> => {
    const { headers: requestHeaders } = exchange.head;
    const waitMs = Math.min((preferredWait(requestHeaders["prefer"]) ?? 0) * 1000, polling.maxPollWaitMs);
    const owner = topic ? placeOwner(name, exchange) : `${name} ${requestHeaders.authorization ?? ""} `;
    const token = single(requestHeaders[resumeToken]);
    let poll: OpenPoll | undefined;
    let isNew = false;
    try {
      let after = 0;
      if (token !== undefined && (!topic || isOpaque(token))) ({ poll, after } = polled.find(token, owner));
      else if (token !== undefined) poll = polled.findAt(token, owner);
      if (poll === undefined) {
        poll = polled.add(await open(call, exchange, token), owner);
        isNew = true;
      } else {
        if (topic && token !== undefined && !isOpaque(token)) after = poll.stream.number;
        exchange.head.continues = true;
        poll.stream.context.connection?.seen();
      }
      const { stream } = poll;
      const batch = await nextBatch(poll, exchange, after, waitMs);
      const position = topic ? stream.position : undefined;
      if (exchange.destroyed) {
        // A client without a token cannot continue its stream, and any stream continues one with a position.
        if (token === undefined || position !== undefined) polled.remove(poll);
        else polled.expectNext(poll);
        return;
      }
      const { responseHeaderIfAny: header, responseTrailerIfAny: trailer } = stream.context;
      const headers: ResponseHeaders = {};
      const set = (key: string, value: string): void => {
        // Those that say how a stream begins are of its first answer.
        if (isNew || !beginningHeaders.has(key)) setField(headers, key, value);
      };
      if (header !== undefined) replyMetadata.headers(header, set);
      if (batch.isLast && trailer !== undefined) replyMetadata.trailersAsHeaders(trailer, set);
      headers["preference-applied"] = `wait=${Math.floor(waitMs / 1000)}`;
      headers["vary"] = "prefer";
      if (!batch.isLast) headers[resumeToken] = position ?? `${poll.id}.${batch.number}`;
      sendBatch(batch, headers, exchange);
      // The client may request the last messages again.
      if (batch.isLast && batch.texts.length === 0) polled.remove(poll);
      else polled.expectNext(poll, batch.isLast ? undefined : position);
    } catch (reason) {
      if (poll !== undefined) polled.remove(poll);
      if (topic && answerReset(reason, exchange)) return;
      errors.send(exchange, reason);
    }
  };
  return (call, exchange) => void serve(call, exchange);
}

/** What differs from one poll of a client to the next. */
const changing: ReadonlySet<string> = new Set([
  resumeToken,
  "content-length",
  "prefer",
  "traceparent",
  "tracestate",
  "x-request-id",
]);

/**
 * Who goes on with a stream by its position, which all members of a room know: a client whose requests are the same in
 * everything that may say who it is. Any other gets a stream of its own.
 */
function placeOwner(name: string, { head: { url, headers }, remoteAddress, peer }: HttpExchange): string {
  const own = Object.entries(headers).filter(([key]) => !changing.has(key));
  return JSON.stringify([
    name,
    url,
    remoteAddress,
    peer?.fingerprint,
    own.sort(([a], [b]) => (a < b ? -1 : 1)),
  ]);
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
): (call: RouteCall, exchange: HttpExchange, position: string | undefined) => Promise<PolledStream> {
  const { requestMetadata, polling } = kit;
  const { method } = route;
  const kind = callKind(method, "rest", kit);
  const begin = compileTexts(route, kit);
  return async (call, exchange, position) => {
    const { headers } = exchange.head;
    polled.checkLimit();
    const askedMs = requestedTimeoutMs(headers);
    requestMetadata.check(headers);
    // Attached to the exchange: a client that disconnects before it has a token cannot continue.
    const context = openCall(kind, exchange, askedMs, () => {
      const metadata = requestMetadata.of(headers);
      if (position !== undefined) metadata.set(lastEventIdHeader, asHeader(position));
      return metadata;
    });
    try {
      const admitted = admitCall(kind, "long-poll", exchange, context, route.template.text);
      if (admitted !== undefined) await admitted;
      const texts = await begin(call, exchange);
      requestComplete(context, kind);
      return new PolledStream({
        messages: texts(context),
        context,
        bufferBytes: polling.pollBufferBytes,
        saysBeginning: isTopic(method),
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

/** Answers with the position from which a stream goes on that has lost some. @returns false for any other error */
function answerReset(reason: unknown, exchange: HttpExchange): boolean {
  const position = reason instanceof ConnectError ? resetPosition(reason) : undefined;
  if (position === undefined || exchange.destroyed) return false;
  const headers = {
    [resumeToken]: position,
    [resumeHeader]: "reset",
    vary: "prefer",
    "cache-control": "no-store",
  };
  exchange.respond(204, headers, undefined);
  return true;
}

const beginningHeaders: ReadonlySet<string> = new Set([positionHeader, resumeHeader, resetHeader]);

/** As a header can have it: what else was sent is no position either. */
function asHeader(token: string): string {
  return /^[\x21-\x7e]+$/.test(token) ? token : "?";
}

function single(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" ? value : value?.[0];
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
