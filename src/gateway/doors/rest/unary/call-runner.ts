import type { DescMethodUnary } from "@bufbuild/protobuf";
import type { CallContext } from "../../../../core/call/context.ts";
import type { Binder } from "../../../binding/bind.ts";
import type { BindRequest } from "../../../binding/bind-options.ts";
import type { DoorKit } from "../../door-kit.ts";
import type { ReplyCodec } from "./reply-writer.ts";

/** Binds a request and calls; resolves with the body of the reply. */
export type CallRunner = (
  request: BindRequest,
  context: CallContext,
  codec: ReplyCodec,
) => Promise<string | Buffer>;

/** Compiles the call of one route. */
export function callRunner(
  method: DescMethodUnary,
  { invoker, transcoding }: DoorKit,
  binder: Binder,
): CallRunner {
  if (invoker.unaryBytes === undefined || transcoding === "messages") {
    return (request, context, { encode }) => invoker.unary(method, binder.bind(request), context, encode);
  }
  const unaryBytes = invoker.unaryBytes.bind(invoker);
  return (request, context, { read }) => unaryBytes(method, binder.bindBytes(request), context, read);
}
