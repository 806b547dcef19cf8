import type { Message } from "@bufbuild/protobuf";
import type { Route } from "../../../../core/http-rule/route.ts";
import type { CallContext } from "../../../../core/call/context.ts";
import type { DoorKit } from "../../door-kit.ts";
import type { HttpExchange } from "../../../http/exchange.ts";
import { replyHead } from "../unary/reply-writer.ts";
import { usualStatusOf } from "../usual-status.ts";
import { pageNonce } from "../../../http/browsers/page-nonce.ts";
import { compileReplyBody } from "../../../binding/http-body.ts";
import { contentTypeOf, noSniff, setFileHeaders } from "./raw-headers.ts";

/** Sends the file of a successful call. */
export type RawSender = (message: Message, context: CallContext, exchange: HttpExchange) => void;

/**
 * Compiles the successful replies of a route whose only reply is a `google.api.HttpBody`: its bytes with its content
 * type.
 */
export function compileRawSender(
  route: Route,
  { replyMetadata, browsers }: Pick<DoorKit, "replyMetadata" | "browsers">,
): RawSender {
  const bodyOf = compileReplyBody(route);
  const usualStatus = usualStatusOf(route.method);
  return (message, context, exchange) => {
    const { status, headers, trailers } = replyHead(context, exchange.head, replyMetadata, usualStatus);
    setFileHeaders(context.responseHeaderIfAny, (name, value) => (headers[name] = value));
    const [name, value] = noSniff;
    headers[name] = value;
    if (status === 204 || status === 205 || status === 304) {
      exchange.respond(status, headers, undefined, trailers);
      return;
    }
    const body = bodyOf(message);
    headers["content-type"] = contentTypeOf(body);
    if (body !== undefined && body.extensions.length > 0) {
      const nonce = pageNonce(body);
      if (nonce !== undefined) browsers.protectPage(headers, nonce);
    }
    exchange.respond(status, headers, body?.data ?? new Uint8Array(), trailers);
  };
}
