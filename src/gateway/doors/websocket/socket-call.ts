import type { Message } from "@bufbuild/protobuf";
import type { CallContext } from "../../../core/call/context.ts";
import { type ConnectError, toCallError } from "../../../core/errors/errors.ts";
import type { WriteReply } from "../../../core/call/write-reply.ts";
import { type CallKind, requestComplete } from "../open-call.ts";
import type { StreamInvoker } from "../../../core/call/stream-invoker.ts";
import { MessageQueue, type QueueFeeder } from "./message-queue.ts";

/** Sends what was made of one reply; a promise where the client has to take something before the next. */
export type SendReply<T> = (payload: T) => Promise<void> | undefined;

/** One call of an rpc over a WebSocket, from its beginning on. */
export class SocketCall {
  readonly context: CallContext;
  readonly requests: MessageQueue;
  readonly #kind: CallKind;
  readonly #run: StreamInvoker;
  #begun = false;

  /**
   * @param context is ended with the call
   * @param feeder is called when the handler falls behind its client
   */
  constructor(kind: CallKind, run: StreamInvoker, context: CallContext, feeder: QueueFeeder) {
    this.#kind = kind;
    this.#run = run;
    this.context = context;
    this.requests = new MessageQueue(feeder);
    // The invoker watches the context from the first message on only.
    context.onAbort((reason) => this.requests.end(reason));
  }

  /**
   * Makes the call and sends what `write` makes of its replies; resolves with its error, undefined for OK. Never rejects.
   */
  async run<T>(write: WriteReply<T>, send: SendReply<T>): Promise<ConnectError | undefined> {
    const { context } = this;
    try {
      for await (const reply of this.#run(this.requests, context, write)) {
        const room = send(reply);
        if (room !== undefined) await context.race(room);
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
  push(message: Message, size: number): void {
    if (!this.#begun) requestComplete(this.context, this.#kind);
    this.#begun = true;
    this.requests.push(message, size);
  }

  /** Ends the call with this error. */
  fail(error: ConnectError): void {
    this.context.abort(error);
  }
}
