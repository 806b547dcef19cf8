import type { Message } from "@bufbuild/protobuf";
import { asBatch, inBatches, type RequestBatch } from "../../../../core/call/batches.ts";
import type { HttpExchange } from "../../../http/exchange.ts";
import { HttpError } from "../../../http/http-error.ts";
import { isJsonStream } from "../../../http/media-type.ts";
import { hasBody } from "../../../http/request-body.ts";
import type { Route } from "../../../../core/http-rule/route.ts";
import { bodyReader, noBody } from "../unary/unary-body.ts";
import type { RouteCall } from "../../../routing/route-call.ts";
import type { DoorKit } from "../../door-kit.ts";
import { bodyChunks } from "../../../http/body-chunks.ts";
import { type RequestMessages, UploadedMessages } from "./uploaded-messages.ts";
import { JsonSplitter, type SplitterLimits } from "../../../http/json-splitter.ts";
import type { MessageBinder, MessageBody } from "../../../binding/message-binder.ts";

/** Reads the messages of a request. Rejects with an error of the request before the first message. */
export type RequestSource<Messages = Message> = (
  call: RouteCall,
  exchange: HttpExchange,
) => Promise<RequestMessages<Messages>>;

/**
 * Compiles the source of a route's request messages: one message from path, query and body, or for rpcs with a request
 * stream one from each JSON text in the body, as it arrives.
 */
export function compileSource(route: Route, binder: MessageBinder, kit: DoorKit): RequestSource {
  return takesMany(route)
    ? uploadSource(kit, (call, bodies) => binder.all(call, eachOf(bodies)))
    : singleSource(route, kit, (call, body) => binder.first(call, body));
}

/** The same in batches, and in binary form where that takes no messages: those of one chunk of the body together. */
export function compileByteSource(
  route: Route,
  binder: MessageBinder,
  kit: DoorKit,
): RequestSource<RequestBatch> {
  return takesMany(route)
    ? uploadSource(kit, (call, bodies) => batches(binder, call, bodies))
    : singleSource(route, kit, (call, body) => [binder.firstBytes(call, body)]);
}

/** The same messages, each as a batch. */
export function batchesFrom(source: RequestSource): RequestSource<RequestBatch> {
  return async (call, exchange) => {
    const messages = await source(call, exchange);
    return {
      get failure() {
        return messages.failure;
      },
      get count() {
        return messages.count;
      },
      [Symbol.asyncIterator]: () => inBatches(messages),
    };
  };
}

function takesMany({ method: { methodKind }, bodyField }: Route): boolean {
  return (methodKind === "client_streaming" || methodKind === "bidi_streaming") && bodyField !== undefined;
}

function singleSource<M>(
  route: Route,
  kit: DoorKit,
  bind: (call: RouteCall, body: MessageBody) => M,
): RequestSource<M> {
  const body = bodyReader(route, kit);
  return async (call, exchange) => {
    const { bytes, format } = body === undefined || !hasBody(exchange.head) ? noBody : body(exchange);
    return oneOf(bind(call, { bytes: bytes && (await bytes), format }));
  };
}

/** The JSON texts of a body, one for each message, as they come: those of one chunk together. */
type Bodies = AsyncIterable<readonly MessageBody[]>;

function uploadSource<M>(
  kit: DoorKit,
  bind: (call: RouteCall, bodies: Bodies) => AsyncGenerator<M, void, undefined>,
): RequestSource<M> {
  const { streams, lenientContentType } = kit;
  const { maxBodyBytes } = kit.limits;
  const limits: SplitterLimits = {
    maxMessageBytes: maxBodyBytes,
    maxDepth: kit.binding.maxJsonDepth,
  };
  return async (call, exchange) => {
    const { headers } = exchange.head;
    if (!hasBody(exchange.head)) return new UploadedMessages(bind(call, noBodies()));
    if (!lenientContentType && !isJsonStream(headers["content-type"])) {
      throw unsupported(headers["content-type"]);
    }
    return new UploadedMessages(bind(call, jsonBodies(bodyChunks(exchange, streams.bodyIdleMs), limits)));
  };
}

/** The JSON texts of a body, one for each message, as they arrive. */
async function* jsonBodies(
  chunks: AsyncIterable<Uint8Array>,
  limits: SplitterLimits,
): AsyncGenerator<readonly MessageBody[], void, undefined> {
  const splitter = new JsonSplitter(limits);
  const toBody = (bytes: Uint8Array): MessageBody => ({ bytes, format: "json" });
  for await (const chunk of chunks) yield* asBatch(splitter.push(chunk).map(toBody));
  const last = splitter.finish();
  if (last !== undefined) yield [toBody(last)];
}

/** The messages of a call, those of one chunk together; query and path are bound to the first. */
async function* batches(
  binder: MessageBinder,
  call: RouteCall,
  bodies: Bodies,
): AsyncGenerator<RequestBatch, void, undefined> {
  let isFirst = true;
  const bind = (body: MessageBody): Message | Uint8Array => {
    const bound = isFirst ? binder.firstBytes(call, body) : binder.nextBytes(body);
    isFirst = false;
    return bound;
  };
  for await (const some of bodies) yield* asBatch(some.values().map(bind));
}

async function* noBodies(): AsyncGenerator<readonly MessageBody[], void, undefined> {}

async function* eachOf(bodies: Bodies): AsyncGenerator<MessageBody, void, undefined> {
  for await (const some of bodies) yield* some;
}

function oneOf<M>(message: M): RequestMessages<M> {
  return {
    failure: undefined,
    count: 1,
    async *[Symbol.asyncIterator]() {
      yield message;
    },
  };
}

function unsupported(contentType: string | undefined): HttpError {
  const found = contentType === undefined ? "no content type" : `content type ${JSON.stringify(contentType)}`;
  return new HttpError(
    415,
    `the request has a body with ${found}: send application/json or application/x-ndjson (UTF-8)`,
    { headers: { accept: "application/json, application/x-ndjson, application/jsonl" } },
  );
}
