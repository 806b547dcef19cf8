import { fromBinary, type DescMethod, type Message } from "@bufbuild/protobuf";
import type { Invoker } from "../call/invoker.ts";
import type { CallContext } from "../call/context.ts";
import type { RpcChecks } from "../call/message-checks.ts";
import { type CallObserver, notifyRefused } from "../call/observer.ts";
import { checkedReplies, checkedRequests, checkRequest } from "../call/rpc-checks.ts";
import { toCallError } from "../errors/errors.ts";

/**
 * `invoker` for the calls of one rpc, with its checks before each call: a refused request never reaches `invoker`. A unary
 * call of bytes stays one: its request is decoded for the check alone.
 *
 * @param observers notified of refused calls
 */
export function checkedInvoker(
  invoker: Invoker,
  method: DescMethod,
  checks: RpcChecks,
  observers: readonly CallObserver[],
): Invoker {
  const unaryBytes = checks.reply === undefined ? invoker.unaryBytes?.bind(invoker) : undefined;
  const afterCheck = <T>(request: Message, context: CallContext, call: () => Promise<T>): Promise<T> => {
    const refuse = (reason: unknown): never => {
      const error = toCallError(reason);
      notifyRefused(observers, "validation", error, context);
      throw error;
    };
    context.checkedBy = checks;
    try {
      const waiting = checkRequest(checks, request, context);
      return waiting === undefined ? call() : waiting.catch(refuse).then(call);
    } catch (reason) {
      return Promise.resolve(reason).then(refuse);
    }
  };
  return {
    protocolName: invoker.protocolName,
    unary(rpc, request, context, write) {
      const replies = checkedReplies(checks, context, write);
      return afterCheck(request, context, () => invoker.unary(rpc, request, context, replies));
    },
    ...(unaryBytes && {
      unaryBytes(rpc, request, context, read) {
        const message = request instanceof Uint8Array ? decode(method, request) : request;
        return afterCheck(message, context, () => unaryBytes(rpc, request, context, read));
      },
    }),
    stream(rpc, requests, context, write) {
      const replies = checkedReplies(checks, context, write);
      context.checkedBy = checks;
      return invoker.stream(rpc, checkedRequests(checks, requests), context, replies);
    },
  };
}

/** Fields of type bytes are views of the input's class: of Uint8Array, as the generated types promise. */
function decode({ input }: DescMethod, { buffer, byteOffset, byteLength }: Uint8Array): Message {
  return fromBinary(input, new Uint8Array(buffer, byteOffset, byteLength));
}
