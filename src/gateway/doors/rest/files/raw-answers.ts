import type { Message } from "@bufbuild/protobuf";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { CallContext } from "../../../../core/call/context.ts";
import type { ErrorWriter } from "../../../http/error-writer.ts";
import type { Route } from "../../../routing/route.ts";
import type { Answer } from "../answers/answer.ts";
import { SingleAnswer } from "../answers/single-answer.ts";
import type { Coding } from "../../../../core/wire/codings/coding.ts";
import type { StreamWriterOptions } from "../../../http/stream-writer.ts";
import type { RouteCall } from "../../../routing/route-call.ts";
import type { RouteOptions } from "../../route-options.ts";
import { compileReplyBody } from "../../../binding/http-body.ts";
import { toRangeError } from "./range-error.ts";
import { RawAnswer } from "./raw-answer.ts";
import { compileRawSender } from "./raw-sender.ts";

/** What `compileRawAnswer` needs of a gateway's options. */
export interface RawAnswerOptions
  extends Pick<RouteOptions, "errors" | "replyMetadata">, Partial<StreamWriterOptions> {
  /** How the answer to a request is compressed, by its content type and status. Default: not at all. */
  readonly fileCoding?:
    | ((request: FastifyRequest, contentType: string, status: number) => Coding | undefined)
    | undefined;
}

/** Compiles the answers of a route whose replies are raw: one file, or one in pieces where the rpc gives a stream. */
export function compileRawAnswer(
  route: Route,
  options: RawAnswerOptions,
): (call: RouteCall, request: FastifyRequest, reply: FastifyReply) => (context: CallContext) => Answer {
  const { replyMetadata, fileCoding } = options;
  const errorsOf = (request: FastifyRequest): Pick<ErrorWriter, "send" | "toError"> => ({
    toError: (reason, exchange) => options.errors.toError(reason, exchange),
    send: (reply, reason) => options.errors.send(reply, toRangeError(reason, request)),
  });
  const { methodKind } = route.method;
  if (methodKind === "unary" || methodKind === "client_streaming") {
    const send = compileRawSender(route, options);
    return (_call, request, reply) => (context) =>
      new SingleAnswer(reply, errorsOf(request), asItIs, (message) => send(message, context, request, reply));
  }
  const bodyOf = compileReplyBody(route);
  return (_call, request, reply) => (context) =>
    new RawAnswer({
      bodyOf,
      context,
      request,
      reply,
      errors: errorsOf(request),
      replyMetadata,
      options,
      codingOf: (contentType, status) => fileCoding?.(request, contentType, status),
    });
}

/** What is sent of a file is in its message. */
function asItIs(message: Message): Message {
  return message;
}
