import type { DescMethod, DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import type { Invoker } from "../../call/invoker.ts";
import type { CallContext } from "../../call/context.ts";
import type { ReadReplies, RequestBatch } from "../../call/batches.ts";
import { writeReply, type WriteReply } from "../../call/write-reply.ts";
import type { StreamSources } from "../../http2/stream-source.ts";
import { ClientRpc } from "./client-rpc.ts";
import { ClientStreamCall } from "./client-stream-call.ts";
import { ClientUnaryCall } from "./client-unary-call.ts";
import { requestCoding } from "./message-compression.ts";
import { compressedFlag, withPrefix } from "../../wire/message-prefix.ts";

/**
 * An invoker of gRPC calls over HTTP/2 connections (grpc/grpc doc/PROTOCOL-HTTP2.md). A reply that violates the
 * protocol is an error with the code that gRPC's client specification names.
 */
export function http2Invoker(sources: StreamSources): Required<Omit<Invoker, "unobserved">> {
  const rpcs = new Map<DescMethod, ClientRpc>();
  const rpcOf = (method: DescMethod): ClientRpc => {
    let rpc = rpcs.get(method);
    if (rpc === undefined) {
      sources.know?.(method);
      rpcs.set(method, (rpc = new ClientRpc(method, sources.options)));
    }
    return rpc;
  };
  const compressed = sources.options.compression === requestCoding.name;

  const call = <T>(
    rpc: ClientRpc,
    request: Uint8Array,
    context: CallContext,
    read: (bytes: Uint8Array) => T,
  ): Promise<T> => {
    if (compressed) return compressedCall(rpc, request, context, read);
    return new Promise((resolve, reject) => {
      const outcome = { read, resolve, reject };
      new ClientUnaryCall(sources, rpc, context, request, withPrefix(request), outcome).begin();
    });
  };

  const compressedCall = async <T>(
    rpc: ClientRpc,
    request: Uint8Array,
    context: CallContext,
    read: (bytes: Uint8Array) => T,
  ): Promise<T> => {
    const framed = withPrefix(await context.race(requestCoding.compress(request)), compressedFlag);
    return new Promise((resolve, reject) => {
      new ClientUnaryCall(sources, rpc, context, request, framed, { read, resolve, reject }).begin();
    });
  };

  return {
    protocolName: "grpc",
    unary<T = Message>(
      method: DescMethodUnary,
      request: Message,
      context: CallContext,
      write?: WriteReply<T>,
    ) {
      if (context.reason !== undefined) return Promise.reject(context.reason);
      const rpc = rpcOf(method);
      try {
        const read = (reply: Uint8Array): T => writeReply(method, write, rpc.toMessage(reply));
        return call(rpc, rpc.toBytes(request), context, read);
      } catch (error) {
        return Promise.reject(error);
      }
    },
    unaryBytes(method, request, context, read) {
      if (context.reason !== undefined) return Promise.reject(context.reason);
      const rpc = rpcOf(method);
      try {
        const bytes = request instanceof Uint8Array ? request : rpc.toBytes(request);
        return call(rpc, bytes, context, (reply) => rpc.read(reply, read));
      } catch (error) {
        return Promise.reject(error); // From `toBytes`.
      }
    },
    async *stream<T = Message>(
      method: DescMethodStreaming,
      requests: AsyncIterable<Message>,
      context: CallContext,
      write?: WriteReply<T>,
    ): AsyncGenerator<T, void, undefined> {
      if (context.reason !== undefined) throw context.reason;
      const rpc = rpcOf(method);
      const toBytes = (message: Message): Uint8Array[] => [rpc.toBytes(message)];
      const streamCall = new ClientStreamCall(sources, rpc, context, requests, toBytes);
      try {
        streamCall.begin();
        for (;;) {
          const message = await streamCall.next();
          if (message === undefined) return;
          yield writeReply(method, write, message);
        }
      } finally {
        streamCall.cancel();
      }
    },
    async *streamBytes<T>(
      method: DescMethodStreaming,
      requests: AsyncIterable<RequestBatch>,
      context: CallContext,
      read: ReadReplies<T>,
    ): AsyncGenerator<T, void, undefined> {
      if (context.reason !== undefined) throw context.reason;
      const rpc = rpcOf(method);
      const toBytes = (batch: RequestBatch): Uint8Array[] =>
        batch.map((request) => (request instanceof Uint8Array ? request : rpc.toBytes(request)));
      const streamCall = new ClientStreamCall(sources, rpc, context, requests, toBytes);
      try {
        streamCall.begin();
        for (;;) {
          const batch = await streamCall.nextBatch();
          if (batch === undefined) return;
          yield rpc.read(batch, read);
        }
      } finally {
        streamCall.cancel();
      }
    },
  };
}
