import { unavailable } from "../call/codes.ts";
import { codeOfHttpStatus, errorOfStatus, HubError } from "../call/hub-error.ts";
import type { HubMethod } from "../call/hub-method.ts";
import type { StreamEnd } from "./link.ts";

/** Where streams send their requests, and how long they wait. */
export interface HttpPlace {
  readonly base: string;
  readonly timeoutMs: number;
}

/** A request of HTTP: the rpc's own path, with its message as JSON. */
export interface HttpRequest {
  readonly method: HubMethod;
  readonly request: unknown;
  readonly token: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal | null;
}

/** Sends it. @throws HubError for what is no request; TypeError without a network, or what the signal was aborted with */
export async function post(
  base: string,
  { method, request, token, headers, signal }: HttpRequest,
): Promise<Response> {
  return fetch(base + method.path, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: JSON.stringify(method.encode(request)),
    cache: "no-store",
    signal,
  });
}

/** The reply of an rpc. @throws HubError */
export async function callByHttp(base: string, request: HttpRequest): Promise<unknown> {
  let response: Response;
  let text: string;
  try {
    response = await post(base, request);
    text = await response.text();
  } catch (reason) {
    throw unreachable(reason);
  }
  if (!response.ok) throw errorOf(response.status, text);
  return request.method.decode(JSON.parse(text));
}

/** The end that an answer without a stream is. */
export async function endOf(response: Response): Promise<StreamEnd> {
  const error = errorOf(response.status, await response.text());
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  return { error, retryMs: Number.isNaN(seconds) ? error.retryMs : seconds * 1000, lost: false };
}

/** The end that an exception is: a lost connection, or a message that cannot be read. */
export function lostEnd(reason: unknown): StreamEnd {
  const error = unreachable(reason);
  return { error, retryMs: undefined, lost: error.code === unavailable };
}

function unreachable(reason: unknown): HubError {
  return reason instanceof HubError
    ? reason
    : new HubError(unavailable, "the server cannot be reached", [], reason);
}

function errorOf(status: number, text: string): HubError {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // It may be the page of a proxy.
  }
  return errorOfStatus(json) ?? new HubError(codeOfHttpStatus(status), `HTTP status ${status}`);
}
