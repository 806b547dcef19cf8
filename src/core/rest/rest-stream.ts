import type { JsonObject, JsonValue, Message } from "@bufbuild/protobuf";
import type { Route } from "../http-rule/route.ts";
import { EventReader } from "./event-reader.ts";
import { splitArrayOrLines } from "./json-array.ts";
import { chunksOf } from "./body-chunks.ts";
import { type Splitter, splitLines } from "./json-lines.ts";
import { tooLarge } from "./pieces.ts";
import { parseJson, type ReplyReader } from "./reply-reader.ts";
import { badReply, errorOfStream, isObject } from "./rest-error.ts";
import type { RestScope } from "./rest-method.ts";

/** What a stream of JSON is asked as, in the order of preference. Bytes are asked as whatever they are. */
export const streamTypes =
  "application/x-ndjson, application/jsonl;q=0.9, text/event-stream;q=0.8, application/json;q=0.5";

/**
 * The messages of a streamed reply: lines of JSON, events, the elements of an array, or raw bytes, whichever the server
 * chose.
 *
 * @param trailer gets what a stream of events says at its end; the other forms have no trailers
 * @throws ConnectError the error that the stream ends with; INTERNAL for what is no JSON
 */
export function readStream(
  response: Response,
  { method }: Route,
  reader: ReplyReader,
  scope: RestScope,
  metadata: Headers,
  trailer: Headers,
): AsyncGenerator<Message, void, undefined> {
  const type = response.headers.get("content-type") ?? "";
  if (reader.isRaw) return rawMessages(response, type, reader, scope.maxMessageBytes);
  const fail = (json: JsonValue): Error => errorOfStream(json, metadata, scope.registry);
  if (/^text\/event-stream\b/i.test(type)) return eventMessages(response, reader, scope, fail, trailer);
  const splitter = /^application\/(?:\w+\+)?json\b/i.test(type)
    ? splitArrayOrLines(scope.maxMessageBytes)
    : splitLines(scope.maxMessageBytes);
  if (scope.compat === "grpc-gateway") return wrappedMessages(response, splitter, reader, fail);
  const field = method.output.fields.find(({ jsonName }) => jsonName === "error");
  return plainMessages(response, splitter, reader, fail, field !== undefined);
}

async function* rawMessages(
  response: Response,
  type: string,
  reader: ReplyReader,
  maxBytes: number,
): AsyncGenerator<Message, void, undefined> {
  for await (const chunk of chunksOf(response.body)) {
    if (chunk.length > maxBytes) throw tooLarge("the server's message", maxBytes);
    yield reader.fromBytes(chunk, type);
  }
}

async function* eventMessages(
  response: Response,
  reader: ReplyReader,
  { maxMessageBytes }: RestScope,
  fail: (json: JsonValue) => Error,
  trailer: Headers,
): AsyncGenerator<Message, void, undefined> {
  const events = new EventReader(maxMessageBytes);
  for await (const chunk of chunksOf(response.body)) {
    for (const { event, data } of events.push(chunk)) {
      const json = parseText(data);
      if (event === "message") yield reader.fromJson(json);
      else if (event === "error") throw fail(json);
      else if (event === "end") return addTrailers(json, trailer);
    }
  }
  events.finish();
}

function addTrailers(json: JsonValue, trailer: Headers): void {
  const trailers = isObject(json) ? json["trailers"] : undefined;
  for (const [name, value] of Object.entries(isObject(trailers) ? trailers : {})) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (typeof one === "string") trailer.append(name, one);
    }
  }
}

/** The JSON values of a stream. */
async function* valuesOf(response: Response, splitter: Splitter): AsyncGenerator<JsonValue, void, undefined> {
  for await (const chunk of chunksOf(response.body)) {
    for (const bytes of splitter.push(chunk)) yield parseJson(bytes);
  }
  const last = splitter.finish();
  if (last !== undefined) yield parseJson(last);
}

/** Lines as grpc-gateway has them: `{"result": …}` or `{"error": …}`. */
async function* wrappedMessages(
  response: Response,
  splitter: Splitter,
  reader: ReplyReader,
  fail: (json: JsonValue) => Error,
): AsyncGenerator<Message, void, undefined> {
  for await (const value of valuesOf(response, splitter)) {
    if (!isObject(value)) throw badReply("is no JSON object");
    if (value["error"] !== undefined) throw fail(value);
    yield reader.fromJson(value["result"] ?? {});
  }
}

/**
 * Messages as they are, and at the end perhaps `{"error": …}`.
 *
 * @param hasError whether messages have a field `error`: such a message is an error only if it is the last one and
 *   looks like one
 */
async function* plainMessages(
  response: Response,
  splitter: Splitter,
  reader: ReplyReader,
  fail: (json: JsonValue) => Error,
  hasError: boolean,
): AsyncGenerator<Message, void, undefined> {
  let held: JsonObject | undefined;
  for await (const value of valuesOf(response, splitter)) {
    if (held !== undefined) yield reader.fromJson(held);
    held = undefined;
    if (!isError(value)) yield reader.fromJson(value);
    else if (hasError) held = value;
    else throw fail(value);
  }
  if (held !== undefined) throw fail(held);
}

/** Whether a value has a `google.rpc.Status` as `error`, and nothing else. */
function isError(value: JsonValue): value is JsonObject {
  if (!isObject(value) || Object.keys(value).length !== 1) return false;
  const { error } = value;
  return isObject(error) && typeof error["code"] === "number";
}

function parseText(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue; // Nothing else comes of JSON.
  } catch (cause) {
    throw badReply("is no JSON", cause);
  }
}
