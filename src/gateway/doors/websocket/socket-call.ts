import type { Message } from "@bufbuild/protobuf";
import type { CallContext } from "../../../core/call/context.ts";
import { type ConnectError, toCallError } from "../../../core/errors/errors.ts";
import type { WriteReply } from "../../../core/call/write-reply.ts";
import { type CallKind, requestComplete } from "../open-call.ts";
import type { StreamInvoker } from "../../../core/call/stream-invoker.ts";
import { MessageQueue, type QueueSource } from "./message-queue.ts";

/** Sends an encoded reply; returns a promise if the client must read something before the next one. */
export type SendReply<T> = (payload: T) => Promise<void> | undefined;

/** One call of an rpc over a WebSocket. */
export class SocketCall {
  readonly context: CallContext;
  readonly requests: MessageQueue;
  readonly #kind: CallKind;
  readonly #run: StreamInvoker;
  #begun = false;

  /**
   * @param context the context of the call, which `run` ends
   * @param source paused while the handler reads more slowly than the client sends
   */
  constructor(kind: CallKind, run: StreamInvoker, context: CallContext, source: QueueSource) {
    this.#kind = kind;
    this.#run = run;
    this.context = context;
    this.requests = new MessageQueue(source);
    // The invoker observes the context only after the first message.
    context.onAbort((reason) => this.requests.end(reason));
  }

  /**
   * Calls and sends the results of `write` for its replies; resolves with the error of the call, undefined for OK.
   * Never rejects.
   */
  async run<T>(write: WriteReply<T>, send: SendReply<T>): Promise<ConnectError | undefined> {
    const { context } = this;
    try {
      for await (const reply of this.#run(this.requests, context, write)) {
        const written = send(reply);
        if (written !== undefined) await context.race(written);
      }
      return undefined;
    } catch (reason) {
      return toCallError(reason);
    } finally {
      void this.requests.return();
      context.end();
    }
  }

  /** Adds a message that was received as `size` bytes; the default timeout of the call starts with the first one. */
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
