import type { Message } from "@bufbuild/protobuf";
import type { CallContext } from "../../../../core/call/context.ts";
import type { ErrorWriter } from "../../../http/error-writer.ts";
import type { HttpExchange } from "../../../http/exchange.ts";
import type { Route } from "../../../../core/http-rule/route.ts";
import type { Answer } from "../answers/answer.ts";
import { SingleAnswer } from "../answers/single-answer.ts";
import type { DoorKit } from "../../door-kit.ts";
import { compileReplyBody } from "../../../binding/http-body.ts";
import { usualStatusOf } from "../usual-status.ts";
import { toRangeError } from "./range-error.ts";
import { RawAnswer } from "./raw-answer.ts";
import { compileRawSender } from "./raw-sender.ts";

/**
 * Compiles the answers of a route whose replies are raw: a whole file, or a streamed one if the rpc streams its
 * replies.
 */
export function compileRawAnswer(
  route: Route,
  kit: DoorKit,
): (exchange: HttpExchange) => (context: CallContext) => Answer {
  const { replyMetadata, streams } = kit;
  const { fileCoding } = kit.browsers;
  const errors: Pick<ErrorWriter, "send" | "toError"> = {
    toError: (reason, exchange) => kit.errors.toError(reason, exchange),
    send: (exchange, reason) => kit.errors.send(exchange, toRangeError(reason, exchange.head)),
  };
  const { methodKind } = route.method;
  if (methodKind === "unary" || methodKind === "client_streaming") {
    const send = compileRawSender(route, kit);
    return (exchange) => (context) =>
      new SingleAnswer(exchange, errors, asItIs, (message) => send(message, context, exchange));
  }
  const bodyOf = compileReplyBody(route);
  const usualStatus = usualStatusOf(route.method);
  return (exchange) => (context) =>
    new RawAnswer({
      bodyOf,
      context,
      exchange,
      errors,
      replyMetadata,
      usualStatus,
      options: streams,
      codingOf: (contentType, status) => fileCoding?.(exchange.head, contentType, status),
    });
}

/** Raw replies are encoded when they are sent. */
function asItIs(message: Message): Message {
  return message;
}
