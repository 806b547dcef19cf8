import type { Message } from "@bufbuild/protobuf";
import type { HttpExchange } from "../../../http/exchange.ts";
import { HttpError } from "../../../http/http-error.ts";
import { isJsonStream } from "../../../http/media-type.ts";
import { hasBody } from "../../../http/request-body.ts";
import type { Route } from "../../../routing/route.ts";
import { bodyReader, noBody } from "../unary/unary.ts";
import type { RouteCall } from "../../../routing/route-call.ts";
import type { DoorKit } from "../../door-kit.ts";
import { bodyChunks } from "../../../http/body-chunks.ts";
import { allowLargeBody } from "./large-body.ts";
import { JsonSplitter, type SplitterLimits } from "./json-splitter.ts";
import type { MessageBinder, MessageBody } from "../../../binding/message-binder.ts";

/** The request messages of one call. */
export interface RequestMessages extends AsyncIterable<Message> {
  /** The error of the request, if it has ended the messages; else undefined. */
  readonly failure: unknown;
}

/** Reads the messages of a request. Rejects with an error of the request before the first message. */
export type RequestSource = (call: RouteCall, exchange: HttpExchange) => Promise<RequestMessages>;

/**
 * Compiles the source of a route's request messages: one message from path, query and body, or for rpcs with a request
 * stream one from each JSON text in the body, as it arrives.
 */
export function compileSource(route: Route, binder: MessageBinder, kit: DoorKit): RequestSource {
  const { methodKind } = route.method;
  const takesMany = methodKind === "client_streaming" || methodKind === "bidi_streaming";
  if (takesMany && route.bodyField !== undefined) return uploadSource(binder, kit);
  const body = bodyReader(route, kit);
  return async (call, exchange) => {
    const { bytes, format } = body === undefined || !hasBody(exchange.head) ? noBody : body(exchange);
    return oneMessage(binder.first(call, { bytes: bytes && (await bytes), format }));
  };
}

function uploadSource(binder: MessageBinder, kit: DoorKit): RequestSource {
  const { streams, lenientContentType } = kit;
  const { maxBodyBytes } = kit.limits;
  const limits: SplitterLimits = {
    maxMessageBytes: maxBodyBytes,
    maxDepth: kit.binding.maxJsonDepth,
  };
  return async (call, exchange) => {
    const { headers } = exchange.head;
    if (!hasBody(exchange.head)) return new Upload(binder, call, []);
    if (!lenientContentType && !isJsonStream(headers["content-type"])) {
      throw unsupported(headers["content-type"]);
    }
    allowLargeBody(exchange, maxBodyBytes);
    return new Upload(binder, call, jsonBodies(bodyChunks(exchange, streams.bodyIdleMs), limits));
  };
}

/** The JSON texts of a body, one for each message, as they arrive. */
export async function* jsonBodies(
  chunks: AsyncIterable<Uint8Array>,
  limits: SplitterLimits,
): AsyncGenerator<MessageBody, void, undefined> {
  const splitter = new JsonSplitter(limits);
  for await (const chunk of chunks) {
    for (const bytes of splitter.push(chunk)) yield { bytes, format: "json" };
  }
  const last = splitter.finish();
  if (last !== undefined) yield { bytes: last, format: "json" };
}

function oneMessage(message: Message): RequestMessages {
  return {
    failure: undefined,
    async *[Symbol.asyncIterator]() {
      yield message;
    },
  };
}

class Upload implements RequestMessages {
  failure: unknown;
  readonly #binder: MessageBinder;
  readonly #call: RouteCall;
  readonly #bodies: AsyncIterable<MessageBody> | Iterable<MessageBody>;

  constructor(
    binder: MessageBinder,
    call: RouteCall,
    bodies: AsyncIterable<MessageBody> | Iterable<MessageBody>,
  ) {
    this.#binder = binder;
    this.#call = call;
    this.#bodies = bodies;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Message, void, undefined> {
    try {
      yield* this.#binder.all(this.#call, this.#bodies);
    } catch (reason) {
      this.failure = reason;
      throw reason;
    }
  }
}

function unsupported(contentType: string | undefined): HttpError {
  const found = contentType === undefined ? "no content type" : `content type ${JSON.stringify(contentType)}`;
  return new HttpError(
    415,
    `the request has a body with ${found}: send application/json or application/x-ndjson (UTF-8)`,
    { headers: { accept: "application/json, application/x-ndjson, application/jsonl" } },
  );
}
