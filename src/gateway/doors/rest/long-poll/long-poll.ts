import type { FastifyReply, FastifyRequest } from "fastify";
import { CallContext } from "../../../../core/call/context.ts";
import { compileBodySource } from "../streams/body-source.ts";
import { callTimeOf, requestedTimeoutMs } from "../../deadline.ts";
import { asIs } from "../../../http/error-writer.ts";
import type { Exchange } from "../../../http/exchange.ts";
import { namesEvents } from "../../../http/media-type.ts";
import { type Route, routeName } from "../../../routing/route.ts";
import { compileMessageBinder } from "../../../binding/message-binder.ts";
import { compileStreamInvoker } from "../../../../core/call/stream-invoker.ts";
import type { StreamRouteOptions } from "../streams/stream-route.ts";
import { jsonTextEncoder } from "../../../binding/reply-encoder.ts";
import type { RouteHandler } from "../unary/unary.ts";
import type { RouteCall } from "../../../routing/route-call.ts";
import type { LongPollOptions } from "../poll-options.ts";
import { type Batch, PolledStream } from "./polled-stream.ts";
import type { OpenPoll, PolledStreams } from "./polled-streams.ts";
import { preferredWait } from "./prefer.ts";

/** Name of the header that continues a stream: in an answer, and in the request for what comes after it. */
const resumeToken = "x-resume-token";

/** What long polling needs of a gateway's options. */
export interface LongPollRouteOptions extends StreamRouteOptions, LongPollOptions {
  readonly polled: PolledStreams;
}

/** Whether a request asks for long polling: it prefers to wait some seconds, and not for events. */
export function asksForPoll({ headers }: FastifyRequest["raw"]): boolean {
  if (headers["prefer"] === undefined || preferredWait(headers["prefer"]) === undefined) return false;
  return !namesEvents(headers.accept);
}

/**
 * Long polling of a server stream, for requests with `Prefer: wait=SECONDS` (RFC 7240).
 *
 * The answer comes as soon as there are messages: 200 with a JSON array of them, or 204 when none came in that time.
 * Its header `X-Resume-Token` continues the stream in the next request to the same URL; an answer without it is the
 * last. A token that is used again, since its answer was lost, gives the same messages again. Tokens are of this
 * process, route and `Authorization`; any other, and one that was not used for `pollIdleMs`, is 410. An error of the
 * stream is an answer of its own, after all messages before it.
 */
export function longPollRoute(route: Route, options: LongPollRouteOptions): RouteHandler {
  const { errors, polled, maxPollWaitMs, replyMetadata } = options;
  const open = compileOpen(route, options);
  const name = routeName(route);

  const serve = async (call: RouteCall, request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const { headers } = request.raw;
    const exchange = reply.raw as Exchange; // Every server here makes its responses of this class.
    const waitMs = Math.min((preferredWait(headers["prefer"]) ?? 0) * 1000, maxPollWaitMs);
    const owner = `${name} ${headers.authorization ?? ""}`;
    const token = headers[resumeToken];
    let poll: OpenPoll | undefined;
    try {
      let after = 0;
      if (token === undefined) poll = polled.add(await open(call, request, exchange), owner);
      else ({ poll, after } = polled.find(String(token), owner));
      const { stream } = poll;
      const cut = (): void => stream.cutWait();
      exchange.once("close", cut);
      exchange.leave = cut;
      const batch = await stream.next(after, exchange.owner?.stopping === undefined ? waitMs : 0);
      exchange.off("close", cut);
      exchange.leave = undefined;
      if (exchange.destroyed) return leave(poll, token === undefined);
      const { responseHeaderIfAny: header, responseTrailerIfAny: trailer } = stream.context;
      const set = (key: string, value: string): void => void reply.header(key, value);
      if (header !== undefined) replyMetadata.headers(header, set);
      if (batch.isLast && trailer !== undefined) replyMetadata.trailersAsHeaders(trailer, set);
      void reply.header("preference-applied", `wait=${Math.floor(waitMs / 1000)}`).header("vary", "prefer");
      if (!batch.isLast) void reply.header(resumeToken, `${poll.id}.${batch.number}`);
      sendBatch(batch, reply);
      // The last messages may have to be sent again.
      if (batch.isLast && batch.texts.length === 0) polled.remove(poll);
      else polled.leave(poll);
    } catch (reason) {
      if (poll !== undefined) polled.remove(poll);
      errors.send(reply, reason);
    }
  };

  /** The client left while it waited. One that has a token may come back. */
  const leave = (poll: OpenPoll, isFirst: boolean): void => {
    if (isFirst) polled.remove(poll);
    else polled.leave(poll);
  };
  return (call, request, reply) => void serve(call, request, reply);
}

/** Begins the call of a first request. */
function compileOpen(
  route: Route,
  options: LongPollRouteOptions,
): (call: RouteCall, request: FastifyRequest, exchange: Exchange) => Promise<PolledStream> {
  const { invoker, requestMetadata, polled, pollBufferBytes } = options;
  const { method } = route;
  const source = compileBodySource(route, compileMessageBinder(route, options.bind), options);
  const run = compileStreamInvoker(invoker, method);
  const messageText = jsonTextEncoder(route, method, { ...options.json, indent: 0 });
  return async (call, { raw, method: requestMethod }, exchange) => {
    const { headers } = raw;
    polled.checkRoom();
    const { ownMs, defaultMs } = callTimeOf(requestedTimeoutMs(headers), options);
    requestMetadata.check(headers);
    const requests = await source(call, raw, exchange);
    const context = new CallContext({
      method,
      protocolName: "rest",
      requestHeader: () => requestMetadata.of(headers),
      peer: exchange.peer,
      requestMethod,
      url: raw.url ?? "",
      timeoutMs: ownMs ?? defaultMs, // The request is there.
    });
    exchange.context = context; // A client that leaves before it has a token can never come back.
    return new PolledStream({
      messages: run(requests, context, messageText),
      context,
      bufferBytes: pollBufferBytes,
    });
  };
}

function sendBatch({ texts }: Batch, reply: FastifyReply): void {
  void reply.header("cache-control", "no-store");
  if (texts.length === 0) void reply.code(204).send();
  else
    void reply
      .header("content-type", "application/json")
      .serializer(asIs)
      .send(`[${texts.join(",")}]`);
}
