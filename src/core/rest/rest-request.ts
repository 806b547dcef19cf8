import { create, type JsonObject, type Message, toJson } from "@bufbuild/protobuf";
import type { HttpBody } from "../../../gen/google/api/httpbody_pb.ts";
import { Code, ConnectError, invalidArgument } from "../errors/errors.ts";
import type { Route } from "../http-rule/route.ts";
import { type BoundRequest, chooseBinding } from "./binding-choice.ts";
import { jsonAt, jsonWithout } from "./json-at.ts";
import type { RestMethod, RestScope } from "./rest-method.ts";
import { tooLarge } from "./json-lines.ts";
import { withSignedZeros } from "./signed-zero.ts";

/** A request as `fetch` takes it, without the headers of its call. */
export interface RestRequest {
  readonly route: Route;
  readonly httpMethod: string;
  readonly url: string;
  readonly body: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | undefined;
  /** Of the body; undefined without one, and for bytes whose type the caller did not give. */
  readonly contentType: string | undefined;
}

/**
 * The request of an rpc with one request message.
 *
 * @throws ConnectError INVALID_ARGUMENT if no binding can carry the message
 */
export function singleRequest(method: RestMethod, message: Message, scope: RestScope): RestRequest {
  const bound = choose(method, message, scope);
  const { body, route } = bound;
  if (body === undefined) return { ...bound, body, contentType: undefined };
  const raw = rawBody(route, message);
  if (raw !== undefined) return { ...bound, ...raw };
  return { ...bound, body: JSON.stringify(body), contentType: "application/json" };
}

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

function choose(method: RestMethod, message: Message, scope: RestScope): BoundRequest {
  return chooseBinding(method.bindings, requestJson(method, message, scope), scope);
}

function requestJson({ desc, hasFloats }: RestMethod, message: Message, { registry }: RestScope): JsonObject {
  try {
    const json = toJson(desc.input, message, { registry }) as JsonObject; // Or the text of a type that no rule can bind.
    return hasFloats ? withSignedZeros(json) : json;
  } catch (cause) {
    throw invalid(`the request can not be written as JSON: ${cause instanceof Error ? cause.message : ""}`);
  }
}

function invalid(text: string): ConnectError {
  return new ConnectError(text, Code.InvalidArgument);
}

/** The bytes of a request whose body is a `google.api.HttpBody`; undefined for other rpcs. */
function rawBody(
  { method, bodyField }: Route,
  message: Message,
): { body: Uint8Array<ArrayBuffer>; contentType: string | undefined } | undefined {
  if (bodyField === undefined) return undefined;
  const type = bodyField === "*" ? method.input : bodyField.at(-1)?.message;
  if (type?.typeName !== "google.api.HttpBody") return undefined;
  if (bodyField !== "*" && bodyField.at(-1)?.fieldKind !== "message") return undefined;
  let value: unknown = message;
  for (const { oneof, localName } of bodyField === "*" ? [] : bodyField) {
    const fields = value as Record<string, unknown> | undefined; // A message, or one that is not set.
    const member = oneof && (fields?.[oneof.localName] as { case?: string; value?: unknown } | undefined);
    value = member === undefined ? fields?.[localName] : member.case === localName ? member.value : undefined;
  }
  const { data, contentType, extensions } = (value ?? { data: new Uint8Array() }) as Partial<HttpBody>; // By its type.
  if (extensions !== undefined && extensions.length > 0) {
    throw invalidArgument("a raw body has no place for more", [
      { field: "extensions", description: "can not be sent by HTTP" },
    ]);
  }
  const body = (data ?? new Uint8Array()) as Uint8Array<ArrayBuffer>; // What `fetch` takes, shared memory aside.
  return { body, contentType: contentType === "" ? undefined : contentType };
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
