import type { CallContext } from "../../../core/call/context.ts";
import { forEachOf } from "../../../core/call/layered-stream.ts";
import { notifyUnserved } from "../../../core/call/observer.ts";
import { type ConnectError, toCallError } from "../../../core/errors/errors.ts";
import { type CallKind, requestComplete } from "../open-call.ts";
import type { Frame, FrameCodec } from "./frame-codec.ts";
import { MessageQueue, type QueueSource, type SocketMessage } from "./message-queue.ts";
import type { SocketRun } from "./socket-run.ts";

/** Sends encoded replies. */
export interface ReplySender {
  /** Returns a promise if the client must read something before the next one. */
  write(frame: Frame): Promise<void> | undefined;
}

/** One call of an rpc over a WebSocket. */
export class SocketCall {
  readonly context: CallContext;
  readonly requests: MessageQueue;
  readonly #kind: CallKind;
  readonly #run: SocketRun;
  #begun = false;
  #hasLeft = false;

  /**
   * @param context the context of the call, which `run` ends
   * @param source paused while the handler reads more slowly than the client sends
   */
  constructor(kind: CallKind, run: SocketRun, context: CallContext, source: QueueSource) {
    this.#kind = kind;
    this.#run = run;
    this.context = context;
    this.requests = new MessageQueue(source);
    // The invoker observes the context only after the first message.
    context.onAbort((reason) => this.requests.end(reason));
  }

  /**
   * Calls and sends the replies as frames; resolves with the error of the call, undefined for OK. Never rejects.
   *
   * @param admitted what gates have to wait for before the call; undefined for nothing
   */
  async run(
    codec: FrameCodec,
    sender: ReplySender,
    admitted: Promise<void> | undefined,
  ): Promise<ConnectError | undefined> {
    const { context } = this;
    try {
      if (admitted !== undefined) await admitted;
      await forEachOf(this.#run(this.requests, context, codec), (frames) => this.#sendAll(frames, 0, sender));
      this.#kind.reports?.answered(context, undefined, false);
      return undefined;
    } catch (reason) {
      const error = toCallError(reason);
      notifyUnserved(this.#kind.observers, this.#hasLeft ? undefined : error, context);
      this.#kind.reports?.answered(context, error, this.#hasLeft);
      return error;
    } finally {
      void this.requests.return();
      context.end();
    }
  }

  /** Sends frames from one on; returns a promise while the client must read something before the next one. */
  #sendAll(frames: readonly Frame[], from: number, sender: ReplySender): Promise<void> | undefined {
    const { context } = this;
    for (let place = from; place < frames.length; place++) {
      const frame = frames[place];
      if (frame === undefined) break; // There is one.
      if (context.reason !== undefined) throw context.reason;
      context.sent++;
      context.sentBytes += frame.dataBytes ?? Buffer.byteLength(frame.data);
      const written = sender.write(frame);
      if (written === undefined) continue;
      return context.race(written).then(() => this.#sendAll(frames, place + 1, sender));
    }
    return undefined;
  }

  /** Adds a message that was received as `size` bytes; the default timeout of the call starts with the first one. */
  push(message: SocketMessage, size: number): void {
    if (!this.#begun) requestComplete(this.context, this.#kind);
    this.#begun = true;
    this.context.received++;
    this.context.receivedBytes += size;
    this.requests.push(message, size);
  }

  /** Ends the call with this error. */
  fail(error: ConnectError): void {
    this.context.abort(error);
  }

  /** Ends the call with this error: its client has left. */
  leave(error: ConnectError): void {
    this.#hasLeft = true;
    this.fail(error);
  }
}
