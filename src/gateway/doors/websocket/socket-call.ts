import type { CallContext } from "../../../core/call/context.ts";
import { type ConnectError, toCallError } from "../../../core/errors/errors.ts";
import { type CallKind, requestComplete } from "../open-call.ts";
import type { Frame, FrameCodec } from "./frame-codec.ts";
import { MessageQueue, type QueueFeeder, type SocketMessage } from "./message-queue.ts";
import type { SocketRun } from "./socket-run.ts";

/** Sends one reply; a promise where the client has to take something before the next. */
export type SendReply = (frame: Frame) => Promise<void> | undefined;

/** One call of an rpc over a WebSocket, from its beginning on. */
export class SocketCall {
  readonly context: CallContext;
  readonly requests: MessageQueue;
  readonly #kind: CallKind;
  readonly #run: SocketRun;
  #begun = false;

  /**
   * @param context is ended with the call
   * @param feeder is called when the handler falls behind its client
   */
  constructor(kind: CallKind, run: SocketRun, context: CallContext, feeder: QueueFeeder) {
    this.#kind = kind;
    this.#run = run;
    this.context = context;
    this.requests = new MessageQueue(feeder);
    // The invoker watches the context from the first message on only.
    context.onAbort((reason) => this.requests.end(reason));
  }

  /**
   * Makes the call and sends its replies as frames; resolves with its error, undefined for OK. Never rejects.
   */
  async run(codec: FrameCodec, send: SendReply): Promise<ConnectError | undefined> {
    const { context } = this;
    try {
      for await (const frames of this.#run(this.requests, context, codec)) {
        for (const frame of frames) {
          if (context.reason !== undefined) throw context.reason;
          const room = send(frame);
          if (room !== undefined) await context.race(room);
        }
      }
      return undefined;
    } catch (reason) {
      return toCallError(reason);
    } finally {
      void this.requests.return();
      context.end();
    }
  }

  /** Adds a message that came as `size` bytes; the default time of the call runs from the first one on. */
  push(message: SocketMessage, size: number): void {
    if (!this.#begun) requestComplete(this.context, this.#kind);
    this.#begun = true;
    this.requests.push(message, size);
  }

  /** Ends the call with this error. */
  fail(error: ConnectError): void {
    this.context.abort(error);
  }
}
