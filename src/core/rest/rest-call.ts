import type { Message } from "@bufbuild/protobuf";
import type { StreamRequest, StreamResponse, UnaryRequest, UnaryResponse } from "@connectrpc/connect";
import { Code, ConnectError } from "../errors/errors.ts";
import { formatTimeout } from "../wire/grpc-timeout.ts";
import type { CallSignal } from "./call-signal.ts";
import { fromGatewayHeaders, toGatewayHeaders } from "./gateway-headers.ts";
import { readError, readReply, replyReader } from "./reply-reader.ts";
import type { RestMethod, RestScope } from "./rest-method.ts";
import { manyRequest, type RestRequest, singleRequest } from "./rest-request.ts";
import { readStream, streamTypes } from "./rest-stream.ts";

/** A response with a status of 2xx, with the metadata of its reply. */
interface Answer {
  readonly response: Response;
  readonly header: Headers;
  readonly trailer: Headers;
}

/** Makes one unary call, inside of all interceptors. */
export async function callUnary(
  method: RestMethod,
  req: UnaryRequest,
  call: CallSignal,
  scope: RestScope,
): Promise<UnaryResponse> {
  const request = singleRequest(method, req.message, scope);
  const reader = replyReader(request.route, scope);
  const { response, ...metadata } = await send(
    request,
    req,
    reader.isRaw ? "*/*" : "application/json",
    call,
    scope,
  );
  const message = await connected(readReply(response, reader, scope.maxMessageBytes));
  return { stream: false, service: req.service, method: req.method, ...metadata, message };
}

/** Makes one streaming call, inside of all interceptors; its replies are read as the caller takes them. */
export async function callStream(
  method: RestMethod,
  req: StreamRequest,
  call: CallSignal,
  scope: RestScope,
): Promise<StreamResponse> {
  const kind = method.desc.methodKind;
  if (kind === "bidi_streaming" && !inNode()) {
    const text =
      "fetch in browsers has no streams both ways; call this rpc over the WebSocket of the gateway";
    throw new ConnectError(text, Code.Unimplemented);
  }
  const request =
    kind === "server_streaming"
      ? singleRequest(method, await firstOf(req.message), scope)
      : await manyRequest(method, req.message, scope, call.signal, inNode());
  const reader = replyReader(request.route, scope);
  const isSingle = kind === "client_streaming";
  const accept = reader.isRaw ? "*/*" : isSingle ? "application/json" : streamTypes;
  const { response, header, trailer } = await send(request, req, accept, call, scope);
  const messages = isSingle
    ? once(() => readReply(response, reader, scope.maxMessageBytes))
    : readStream(response, request.route, reader, scope, header, trailer);
  const message = whileConnected(messages);
  return { stream: true, service: req.service, method: req.method, header, trailer, message };
}

/**
 * Sends a request.
 *
 * @throws ConnectError the error of a response with another status than 2xx; UNAVAILABLE if there is none
 */
async function send(
  { httpMethod, url, body, contentType }: RestRequest,
  req: UnaryRequest | StreamRequest,
  accept: string,
  call: CallSignal,
  scope: RestScope,
): Promise<Answer> {
  const headers = req.header; // A copy costs as much as the rest of this function, and `fetch` makes its own.
  if (scope.compat === "grpc-gateway") toGatewayHeaders(headers);
  headers.set("accept", accept);
  headers.delete("content-type");
  if (contentType !== undefined) headers.set("content-type", contentType);
  setDeadline(headers, call.leftMs, scope.deadlineHeader);
  const init: RequestInit = { method: httpMethod, headers, redirect: "manual" };
  if (call.canEnd) init.signal = req.signal;
  if (body !== undefined) init.body = body;
  if (body instanceof ReadableStream) init.duplex = "half";
  if (scope.credentials !== undefined) init.credentials = scope.credentials;
  const response = await connected((scope.fetch ?? fetch)(url, init));
  const trailer = new Headers();
  const header =
    scope.compat === "grpc-gateway" ? fromGatewayHeaders(response.headers, trailer) : response.headers;
  if (!response.ok) throw await readError(response, header, scope);
  return { response, header, trailer };
}

function setDeadline(headers: Headers, leftMs: number | undefined, name: RestScope["deadlineHeader"]): void {
  if (leftMs === undefined || name === "none") return;
  const value = name === "grpc-timeout" ? formatTimeout(leftMs) : String(leftMs);
  if (value !== undefined) headers.set(name, value);
}

/** Whether requests may be streams: the `fetch` of browsers refuses them over HTTP/1.1. */
function inNode(): boolean {
  return (
    typeof (globalThis as { process?: { versions?: { node?: string } } }).process?.versions?.node === "string"
  );
}

async function firstOf(messages: AsyncIterable<Message>): Promise<Message> {
  for await (const message of messages) return message;
  throw new ConnectError("the call has no request message", Code.Internal);
}

async function* once(read: () => Promise<Message>): AsyncGenerator<Message, void, undefined> {
  yield await read();
}

/** Errors of the network, which are those that are not ours, as UNAVAILABLE. */
async function connected<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (reason) {
    throw asUnavailable(reason);
  }
}

async function* whileConnected(messages: AsyncIterable<Message>): AsyncGenerator<Message, void, undefined> {
  try {
    yield* messages;
  } catch (reason) {
    throw asUnavailable(reason);
  }
}

function asUnavailable(reason: unknown): unknown {
  if (reason instanceof ConnectError) return reason;
  // A stream of requests that failed.
  if (reason instanceof Error && reason.cause instanceof ConnectError) return reason.cause;
  const text = "the connection to the server failed";
  return new ConnectError(text, Code.Unavailable, undefined, undefined, reason);
}
