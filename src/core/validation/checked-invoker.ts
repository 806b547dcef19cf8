import { fromBinary, type DescMethod, type Message } from "@bufbuild/protobuf";
import type { RequestBatch } from "../call/batches.ts";
import type { Invoker } from "../call/invoker.ts";
import type { CallContext } from "../call/context.ts";
import type { RpcChecks } from "../call/message-checks.ts";
import { type CallObserver, notifyRefused } from "../call/observer.ts";
import { checkedReplies, checkedRequests, checkRequest, requestCheckOf } from "../call/rpc-checks.ts";
import { toCallError } from "../errors/errors.ts";
import { refusalKindOf } from "../errors/refusal-kind.ts";

/**
 * `invoker` for the calls of one rpc, with its checks before each call: a refused request never reaches `invoker`. Calls
 * of bytes stay so: their requests are decoded for the checks alone.
 *
 * @param observers notified of refused calls
 */
export function checkedInvoker(
  invoker: Invoker,
  method: DescMethod,
  checks: RpcChecks,
  observers: readonly CallObserver[],
): Invoker {
  const afterCheck = <T>(
    request: () => Message,
    context: CallContext,
    call: () => Promise<T>,
  ): Promise<T> => {
    const refuse = (reason: unknown): never => {
      const error = toCallError(reason);
      notifyRefused(observers, refusalKindOf(error) ?? "validation", error, context);
      throw error;
    };
    const check = requestCheckOf(checks, context);
    context.checkedBy = checks;
    try {
      const waiting = check && checkRequest(checks, check, request(), context);
      return waiting === undefined ? call() : waiting.catch(refuse).then(call);
    } catch (reason) {
      return Promise.resolve(reason).then(refuse);
    }
  };
  return {
    protocolName: invoker.protocolName,
    unary(rpc, request, context, write) {
      const replies = checkedReplies(checks, context, write);
      return afterCheck(
        () => request,
        context,
        () => invoker.unary(rpc, request, context, replies),
      );
    },
    stream(rpc, requests, context, write) {
      const replies = checkedReplies(checks, context, write);
      const check = requestCheckOf(checks, context);
      context.checkedBy = checks;
      const checked = check === undefined ? requests : checkedRequests(checks, check, requests);
      return invoker.stream(rpc, checked, context, replies);
    },
    ...(checks.reply === undefined && bytesOf(invoker, method, checks, afterCheck)),
  };
}

/** The calls of bytes, of a method whose replies are not checked. */
function bytesOf(
  invoker: Invoker,
  method: DescMethod,
  checks: RpcChecks,
  afterCheck: <T>(request: () => Message, context: CallContext, call: () => Promise<T>) => Promise<T>,
): Pick<Invoker, "unaryBytes" | "streamBytes"> {
  const unaryBytes = invoker.unaryBytes?.bind(invoker);
  const streamBytes = invoker.streamBytes?.bind(invoker);
  return {
    ...(unaryBytes && {
      unaryBytes: (rpc, request, context, read) =>
        afterCheck(
          () => decode(method, request),
          context,
          () => unaryBytes(rpc, request, context, read),
        ),
    }),
    ...(streamBytes && {
      streamBytes(rpc, requests, context, read) {
        const check = requestCheckOf(checks, context);
        context.checkedBy = checks;
        if (check === undefined) return streamBytes(rpc, requests, context, read);
        const checked = checkedBatches(checks, requests, (request) => check(decode(method, request)));
        return streamBytes(rpc, checked, context, read);
      },
    }),
  };
}

/** `requests`, each of them checked; those before one that is refused are passed on. */
async function* checkedBatches(
  { ready }: RpcChecks,
  requests: AsyncIterable<RequestBatch>,
  check: (request: Message | Uint8Array) => void,
): AsyncGenerator<RequestBatch, void, undefined> {
  if (ready !== undefined) await ready;
  for await (const batch of requests) {
    for (const [index, request] of batch.entries()) {
      try {
        check(request);
      } catch (reason) {
        if (index > 0) yield batch.slice(0, index);
        throw toCallError(reason);
      }
    }
    yield batch;
  }
}

/** Fields of type bytes are views of the input's class: of Uint8Array, as the generated types promise. */
function decode({ input }: DescMethod, request: Message | Uint8Array): Message {
  if (!(request instanceof Uint8Array)) return request;
  const { buffer, byteOffset, byteLength } = request;
  return fromBinary(input, new Uint8Array(buffer, byteOffset, byteLength));
}
