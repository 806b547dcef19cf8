import type { Message } from "@bufbuild/protobuf";
import type { Route } from "../../../routing/route.ts";
import type { CallContext } from "../../../../core/call/context.ts";
import type { WholeReply, WholeRequest } from "../../../http/plain-reply.ts";
import { writeMetadata } from "../unary/unary.ts";
import type { RouteOptions } from "../../route-options.ts";
import { compileReplyBody } from "../../../binding/http-body.ts";
import { contentTypeOf, noSniff, setFileHeaders } from "./raw-headers.ts";

/** Sends the one file of a good call. */
export type RawSender = (
  message: Message,
  context: CallContext,
  request: WholeRequest,
  reply: WholeReply,
) => void;

/** Compiles the good replies of a route whose one reply is a `google.api.HttpBody`: its bytes, under its content type. */
export function compileRawSender(
  route: Route,
  { replyMetadata }: Pick<RouteOptions, "replyMetadata">,
): RawSender {
  const bodyOf = compileReplyBody(route);
  return (message, context, request, reply) => {
    const status = writeMetadata(context, request, reply, replyMetadata);
    setFileHeaders(context.responseHeaderIfAny, (name, value) => void reply.header(name, value));
    void reply.code(status);
    void reply.header(...noSniff);
    if (status === 204 || status === 205 || status === 304) {
      void reply.send(undefined);
      return;
    }
    const body = bodyOf(message);
    const { buffer, byteOffset, byteLength } = body?.data ?? new Uint8Array();
    void reply.header("content-type", contentTypeOf(body));
    void reply.send(Buffer.from(buffer, byteOffset, byteLength));
  };
}
