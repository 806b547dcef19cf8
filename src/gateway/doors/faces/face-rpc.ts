import type { DescMethod, DescMethodUnary, Message } from "@bufbuild/protobuf";
import type { ReadReplies, RequestBatch } from "../../../core/call/batches.ts";
import type { CallContext } from "../../../core/call/context.ts";
import { notifyUnserved } from "../../../core/call/observer.ts";
import { rpcName } from "../../../core/call/service.ts";
import {
  type ByteStreamInvoker,
  compileByteStreamInvoker,
  compileStreamInvoker,
  type StreamInvoker,
} from "../../../core/call/stream-invoker.ts";
import type { WriteReply } from "../../../core/call/write-reply.ts";
import { type ConnectError, toCallError } from "../../../core/errors/errors.ts";
import { CallGroup } from "../../faces/call-group.ts";
import type { FaceCall, FaceProtocol, FaceRpc } from "../../faces/face-call.ts";
import type { HttpExchange } from "../../http/exchange.ts";
import { requestedTimeoutMs } from "../deadline.ts";
import { callKind, type DoorKit } from "../door-kit.ts";
import {
  admitCall,
  bodySeen,
  type CallKind,
  openCall,
  openInnerCall,
  requestComplete,
} from "../open-call.ts";

/** What all calls of an rpc by one face have in common. */
interface Compiled {
  readonly kind: CallKind;
  readonly kit: DoorKit;
  readonly stream: StreamInvoker;
  /** Undefined where calls are made with messages. */
  readonly streamBytes: ByteStreamInvoker | undefined;
  readonly protocol: FaceProtocol;
}

/** Compiles the calls of an rpc by a face. @param kit that of the rpc */
export function faceRpc(method: DescMethod, protocol: FaceProtocol, kit: DoorKit): FaceRpc {
  const { invoker, json, binding, requestMetadata, transcoding } = kit;
  const kind = callKind(method, protocol, kit);
  const streamBytes = transcoding === "messages" ? undefined : compileByteStreamInvoker(invoker, method);
  const compiled = { kind, kit, protocol, stream: compileStreamInvoker(invoker, method), streamBytes };
  return {
    method,
    json,
    binding,
    takesBytes: streamBytes !== undefined,
    begin(from) {
      const isOne = !(from instanceof CallGroup);
      const { headers } = isOne ? from.head : from.origin.head;
      const askedMs = requestedTimeoutMs(headers);
      requestMetadata.check(headers);
      const metadata = requestMetadata.from(headers);
      return isOne
        ? new OnlyCall(compiled, openCall(kind, from, askedMs, metadata), from)
        : new InnerCall(compiled, openInnerCall(kind, from, askedMs, metadata), from);
    },
  };
}

/** What the calls of faces have in common. */
abstract class Call implements FaceCall {
  readonly context: CallContext;
  protected readonly compiled: Compiled;

  constructor(compiled: Compiled, context: CallContext) {
    this.compiled = compiled;
    this.context = context;
  }

  protected abstract readonly source: HttpExchange | CallGroup["origin"];
  abstract fail(reason: unknown): ConnectError;
  abstract end(): void;

  admitted(): Promise<void> | undefined {
    const { kind, protocol } = this.compiled;
    const waiting = admitCall(kind, protocol, this.source, this.context);
    if (waiting !== undefined) return waiting.then(() => this.#seen());
    this.#seen();
    return undefined;
  }

  unary<T = Message>(request: Message, write?: WriteReply<T>): Promise<T> {
    const { invoker } = this.compiled.kit;
    return invoker.unary(this.#begun as DescMethodUnary, request, this.context, write); // As the caller says.
  }

  unaryBytes<T>(request: Message | Uint8Array, read: (reply: Uint8Array) => T): Promise<T> {
    const { invoker } = this.compiled.kit;
    if (invoker.unaryBytes === undefined) throw new TypeError(needsMessages(this.context));
    return invoker.unaryBytes(this.#begun as DescMethodUnary, request, this.context, read); // As the caller says.
  }

  stream<T = Message>(
    requests: AsyncIterable<Message>,
    write?: WriteReply<T>,
  ): AsyncGenerator<T, void, undefined> {
    void this.#begun;
    const { context } = this;
    return this.compiled.stream(counted(requests, context), context, (reply) => {
      context.sent++;
      return write === undefined ? (reply as T) : write(reply); // A T is a message then.
    });
  }

  streamBytes<T>(
    requests: AsyncIterable<RequestBatch>,
    read: ReadReplies<T>,
  ): AsyncGenerator<T, void, undefined> {
    const { streamBytes } = this.compiled;
    if (streamBytes === undefined) throw new TypeError(needsMessages(this.context));
    void this.#begun;
    const { context } = this;
    return streamBytes(countedBatches(requests, context), context, (batch) => {
      const before = batch.read;
      const result = read(batch);
      context.sent += batch.read - before;
      return result;
    });
  }

  /** The rpc, whose request is complete. */
  get #begun(): DescMethod {
    const { kind } = this.compiled;
    requestComplete(this.context, kind);
    return kind.method;
  }

  /** Gates that look at bodies do not let calls of faces in, so that there is nothing to wait for. */
  #seen(): void {
    void bodySeen(this.context, this.source, undefined);
  }
}

/** The one call of an exchange. */
class OnlyCall extends Call {
  protected readonly source: HttpExchange;

  constructor(compiled: Compiled, context: CallContext, exchange: HttpExchange) {
    super(compiled, context);
    this.source = exchange;
  }

  fail(reason: unknown): ConnectError {
    return this.compiled.kit.errors.toError(reason, this.source);
  }

  end(): void {
    this.context.end();
  }
}

/** One of several calls. */
class InnerCall extends Call {
  protected readonly source: CallGroup["origin"];
  readonly #group: CallGroup;
  #error: ConnectError | undefined;

  constructor(compiled: Compiled, context: CallContext, group: CallGroup) {
    super(compiled, context);
    this.source = group.origin;
    this.#group = group;
  }

  fail(reason: unknown): ConnectError {
    const error = (this.#error ??= toCallError(reason));
    this.compiled.kit.errors.faults.call(error, this.context);
    return error;
  }

  end(): void {
    const { context } = this;
    if (context.isEnded) return;
    const { kind } = this.compiled;
    const error = this.#error;
    const { hasLeft } = this.#group;
    if (error !== undefined) notifyUnserved(kind.observers, hasLeft ? undefined : error, context);
    kind.reports?.answered(context, error, hasLeft);
    context.end();
  }
}

function needsMessages({ method }: CallContext): string {
  return `${rpcName(method)} is called with messages`;
}

async function* counted<M>(requests: AsyncIterable<M>, context: CallContext): AsyncGenerator<M> {
  for await (const request of requests) {
    context.received++;
    yield request;
  }
}

async function* countedBatches(
  requests: AsyncIterable<RequestBatch>,
  context: CallContext,
): AsyncGenerator<RequestBatch> {
  for await (const batch of requests) {
    context.received += batch.length;
    yield batch;
  }
}
