import { create, type Message } from "@bufbuild/protobuf";
import type { Route } from "../http-rule/route.ts";
import type { BoundRequest } from "./binding-choice.ts";
import { jsonAt, jsonWithout } from "./json-at.ts";
import { tooLarge } from "./pieces.ts";
import type { RestMethod, RestScope } from "./rest-method.ts";
import { choose, invalid, rawBody, requestJson, type RestRequest } from "./rest-request.ts";

/**
 * The request of an rpc with a stream of request messages: a line of JSON for each, or the bytes of all where they are
 * bodies themselves. The first message decides on the binding.
 *
 * @param signal ends the stream
 * @param isStreamed whether the messages are sent as they come; otherwise they are gathered before
 * @throws ConnectError as `singleRequest`, and RESOURCE_EXHAUSTED if too much would have to be gathered
 */
export async function manyRequest(
  method: RestMethod,
  messages: AsyncIterable<Message>,
  scope: RestScope,
  signal: AbortSignal,
  isStreamed: boolean,
): Promise<RestRequest> {
  const iterator = messages[Symbol.asyncIterator]();
  const first = await iterator.next();
  const message = first.done === true ? create(method.desc.input) : first.value;
  const bound = choose(method, message, scope);
  const raw = rawBody(bound.route, message);
  const contentType = raw === undefined ? "application/x-ndjson" : raw.contentType;
  if (first.done === true) return { ...bound, body: undefined, contentType: undefined };
  const pieces = piecesOf(method, bound, raw?.body, iterator, scope);
  if (!isStreamed) return { ...bound, body: await gather(pieces, scope.maxMessageBytes), contentType };
  const body = streamOf(pieces, signal);
  return { ...bound, body, contentType };
}

/** The pieces as a body. The end of the call ends it: `fetch` goes on with bodies after the response is complete. */
function streamOf(
  pieces: AsyncGenerator<Uint8Array, void, undefined>,
  signal: AbortSignal,
): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    start(controller) {
      const stop = (): void => {
        controller.error(signal.reason);
        pieces.return().catch(() => {});
      };
      if (signal.aborted) stop();
      else signal.addEventListener("abort", stop, { once: true });
    },
    async pull(controller) {
      const { done, value } = await pieces.next();
      if (signal.aborted) return;
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await pieces.return();
    },
  });
}

/** The bytes of the first message and of those that follow. */
async function* piecesOf(
  rpc: RestMethod,
  { route, body }: BoundRequest,
  raw: Uint8Array | undefined,
  rest: AsyncIterator<Message, unknown>,
  scope: RestScope,
): AsyncGenerator<Uint8Array, void, undefined> {
  const encoder = new TextEncoder();
  let isEnded = false;
  try {
    yield raw ?? encoder.encode(`${JSON.stringify(body ?? null)}\n`);
    for (;;) {
      const next = await rest.next();
      if (next.done === true) break;
      yield rawBody(route, next.value)?.body ?? encoder.encode(lineOf(rpc, route, next.value, scope));
    }
    isEnded = true;
  } finally {
    if (!isEnded) await rest.return?.();
  }
}

/** A later message of a stream, which only the body holds. */
function lineOf(rpc: RestMethod, { bodyField }: Route, message: Message, scope: RestScope): string {
  const json = requestJson(rpc, message, scope);
  if (!Array.isArray(bodyField)) return `${JSON.stringify(json)}\n`;
  const [left] = Object.keys(jsonWithout(bodyField, json));
  if (left === undefined) return `${JSON.stringify(jsonAt(bodyField, json) ?? null)}\n`;
  throw invalid(
    `only the first request of the stream can have ${JSON.stringify(left)}, by the HTTP rule of the rpc`,
  );
}

async function gather(pieces: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const piece of pieces) {
    size += piece.length;
    if (size > maxBytes) throw tooLarge("the stream of requests", maxBytes);
    parts.push(piece as Uint8Array<ArrayBuffer>); // As above.
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
