import type { StreamRequest, UnaryRequest, UnaryResponse } from "@connectrpc/connect";
import { Code, ConnectError } from "../errors/errors.ts";
import { formatTimeout } from "../wire/grpc-timeout.ts";
import type { CallSignal } from "./call-signal.ts";
import { readError, readReply, replyReader } from "./reply-reader.ts";
import type { RestMethod, RestScope } from "./rest-method.ts";
import { type RestRequest, singleRequest } from "./rest-request.ts";

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

/**
 * Sends a request, once more if the network fails before there is a response and the rpc may be sent twice.
 *
 * @throws ConnectError the error of a response with another status than 2xx; UNAVAILABLE if there is none
 */
export async function send(
  { route, httpMethod, url, body, contentType }: RestRequest,
  req: UnaryRequest | StreamRequest,
  accept: string,
  call: CallSignal,
  scope: RestScope,
): Promise<Answer> {
  const headers = req.header; // A copy costs as much as the rest of this function, and `fetch` makes its own.
  const compat = scope.compat && (await connected(import("./gateway-headers.ts")));
  compat?.toGatewayHeaders(headers);
  headers.set("accept", accept);
  headers.delete("content-type");
  if (contentType !== undefined) headers.set("content-type", contentType);
  setDeadline(headers, call.leftMs, scope.deadlineHeader);
  const init: RequestInit = { method: httpMethod, headers, redirect: "manual" };
  if (call.canEnd) init.signal = req.signal;
  if (body !== undefined) init.body = body;
  if (body instanceof ReadableStream) init.duplex = "half";
  if (scope.credentials !== undefined) init.credentials = scope.credentials;
  const request = (): Promise<Response> => (scope.fetch ?? fetch)(url, init);
  const response = await connected(
    request().catch((reason: unknown) => {
      // A connection that was kept open may be closed by the server just as it is used.
      const isIdempotent = route.method.idempotency > 0 || /^(?:GET|PUT|DELETE)$/.test(httpMethod);
      if (isIdempotent && init.duplex === undefined && !(reason instanceof ConnectError)) return request();
      throw reason;
    }),
  );
  const trailer = new Headers();
  const header = compat?.fromGatewayHeaders(response.headers, trailer) ?? response.headers;
  if (!response.ok) throw await readError(response, header, scope);
  return { response, header, trailer };
}

function setDeadline(headers: Headers, leftMs: number | undefined, name: RestScope["deadlineHeader"]): void {
  if (leftMs === undefined || name === "none") return;
  const value = name === "grpc-timeout" ? formatTimeout(leftMs) : String(leftMs);
  if (value !== undefined) headers.set(name, value);
}

/** Errors of the network, which are those that are not ours, as UNAVAILABLE. */
export async function connected<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (reason) {
    throw asUnavailable(reason);
  }
}

/** An error of the network, which is one that is not ours, as UNAVAILABLE. */
export function asUnavailable(reason: unknown): unknown {
  if (reason instanceof ConnectError) return reason;
  // A stream of requests that failed.
  if (reason instanceof Error && reason.cause instanceof ConnectError) return reason.cause;
  const text = "the connection to the server failed";
  return new ConnectError(text, Code.Unavailable, undefined, undefined, reason);
}
