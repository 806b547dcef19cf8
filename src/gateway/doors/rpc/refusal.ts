import type { DescMethod } from "@bufbuild/protobuf";
import { rpcName } from "../../../core/call/service.ts";
import type { HttpExchange, RequestHead, ResponseHeaders } from "../../http/exchange.ts";
import { setFailure } from "../../http/error-writer.ts";
import { HttpError } from "../../http/http-error.ts";
import { headerValue } from "../../http/header-value.ts";

/** The answer to a request that is not a valid call of an rpc by any protocol. */
export interface Refusal {
  readonly status: 404 | 405 | 415;
  readonly text: string;
  /** Names in lower case. */
  readonly headers?: ResponseHeaders;
}

/** Thrown for a request that is not a valid call. */
export class NoCall extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.text);
    this.refusal = refusal;
  }
}

/**
 * Answers with plain text: the clients of all these protocols derive the code from the HTTP status then, as their
 * specifications demand. JSON would have to contain a code.
 */
export function refuse(exchange: HttpExchange, { status, text, headers = {} }: Refusal): void {
  setFailure(exchange.head, new HttpError(status, text));
  try {
    exchange.respond(status, { ...headers, "content-type": "text/plain; charset=utf-8" }, text);
  } catch {
    exchange.destroy(); // A hook has set an invalid header.
  }
}

/** The refusal of a path without an rpc. */
export function unknownRpc(path: string): Refusal {
  return { status: 404, text: `there is no rpc at ${path}` };
}

/** The refusal of an HTTP method, with the reason. */
export function notAllowed(text: string): Refusal {
  return { status: 405, text, headers: { allow: "POST" } };
}

/** The refusal of a request with another method than POST; undefined for POST. */
export function notPosted({ method }: RequestHead): Refusal | undefined {
  return method === "POST" ? undefined : notAllowed(`${method} is not allowed for rpcs, use POST`);
}

/** The refusal of the content type of a request. */
export function unsupportedType(method: DescMethod, { headers }: RequestHead): Refusal {
  const own =
    method.methodKind === "unary"
      ? "application/json, application/proto"
      : "application/connect+json, application/connect+proto";
  const accepted = `${own}, application/grpc-web+json, application/grpc-web+proto, application/grpc-web-text+proto`;
  const found = JSON.stringify(headerValue(headers["content-type"]) ?? "");
  const text = `${rpcName(method)} is not served with ${found}: send ${accepted}`;
  return { status: 415, text, headers: { "accept-post": accepted } };
}
