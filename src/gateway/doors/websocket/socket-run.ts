import type { DescMethod, Message } from "@bufbuild/protobuf";
import { inBatches, readEach } from "../../../core/call/batches.ts";
import type { CallContext } from "../../../core/call/context.ts";
import { compileByteStreamInvoker, compileStreamInvoker } from "../../../core/call/stream-invoker.ts";
import type { DoorKit } from "../door-kit.ts";
import type { Frame, FrameCodec } from "./frame-codec.ts";
import type { MessageQueue } from "./message-queue.ts";

/** Calls an rpc with the requests of a queue; yields the frames of its replies, those that arrived together at once. */
export type SocketRun = (
  requests: MessageQueue,
  context: CallContext,
  codec: FrameCodec,
) => AsyncIterable<readonly Frame[]>;

/** How the calls of one rpc are made. */
export interface SocketCalls {
  readonly run: SocketRun;
  /** Whether requests may be in binary form. */
  readonly inBytes: boolean;
}

/** Compiles how the calls of an rpc are made. */
export function compileSocketCalls({ invoker, transcoding }: DoorKit, method: DescMethod): SocketCalls {
  const runBytes = transcoding === "messages" ? undefined : compileByteStreamInvoker(invoker, method);
  if (runBytes !== undefined) {
    return {
      inBytes: true,
      run: (requests, context, codec) =>
        runBytes(inBatches(requests), context, (batch) => readEach(batch, codec.frameOf)),
    };
  }
  const run = compileStreamInvoker(invoker, method);
  return {
    inBytes: false,
    run: (requests, context, codec) =>
      // Codecs make bytes only where they were asked to.
      run(requests as AsyncIterable<Message>, context, codec.frames),
  };
}
