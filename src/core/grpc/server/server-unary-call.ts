import type { Message } from "@bufbuild/protobuf";
import type { UnaryHandler } from "../../call/handler.ts";
import { bodyArrived } from "../../call/body-check.ts";
import { rpcName } from "../../call/service.ts";
import { withPrefix } from "../../wire/message-prefix.ts";
import { Code, ConnectError, toCallError } from "../../errors/errors.ts";
import type { CallRequest, CallStream } from "./call-stream.ts";
import { compressReply } from "./message-compression.ts";
import { ServerCall, type CallEnvironment } from "./server-call.ts";
import type { ServedRpc } from "./served-rpc.ts";

/** Calls whose request has not come in one piece, and that get their timers at the end of the turn. */
let incomplete: ServerUnaryCall[] = [];

/** A unary call: one request message, one reply message. */
export class ServerUnaryCall extends ServerCall {
  readonly #handler: UnaryHandler;
  #unsubscribe: (() => void) | undefined;
  #flags = 0;
  #bytes: Buffer | undefined;

  constructor(
    environment: CallEnvironment,
    rpc: ServedRpc,
    handler: UnaryHandler,
    stream: CallStream,
    request: CallRequest,
  ) {
    super(environment, rpc, stream, request);
    this.#handler = handler;
    const { context } = this;
    // The dispatcher limits the handler; this limits the wait for the request message.
    const byDefault = handler.limitMs ?? environment.defaultTimeoutMs;
    const limit = context.deadline === undefined ? byDefault : environment.maxTimeoutMs;
    if (limit > 0) context.limit(limit);
    if (incomplete.push(this) === 1) setImmediate(watchIncomplete);
  }

  /** Ends the call when its time is over; from here on also while its request is not complete. */
  watch(): void {
    if (this.halfClosed || this.answered) return;
    this.#unsubscribe = this.context.onAbort((reason) => this.fail(reason));
  }

  protected received(flags: number, bytes: Buffer): boolean {
    if (this.#bytes !== undefined) this.#refuse("takes one message, more came");
    this.#flags = flags;
    this.#bytes = bytes;
    return false;
  }

  protected requested(): void {
    const bytes = this.#bytes;
    if (bytes === undefined) {
      this.#refuse("takes one message, none came");
      return;
    }
    this.#bytes = undefined;
    if (this.context.bodyCheck !== undefined) void this.#runChecked(bytes);
    else this.#decode(bytes);
  }

  /** Lets gates look at the body as it came, with its prefix. */
  async #runChecked(bytes: Buffer): Promise<void> {
    this.#unsubscribe ??= this.context.onAbort((reason) => this.fail(reason));
    const { context } = this;
    try {
      await context.race(bodyArrived(context, withPrefix(bytes, this.#flags)));
    } catch (reason) {
      this.#give(toCallError(reason));
      return;
    }
    this.#decode(bytes);
  }

  #decode(bytes: Buffer): void {
    try {
      const message = this.decoder.decode(this.#flags, bytes);
      if (message instanceof Promise) void this.#runLater(message);
      else this.#run(message);
    } catch (reason) {
      this.#give(toCallError(reason));
    }
  }

  async #runLater(message: Promise<Message>): Promise<void> {
    this.#unsubscribe ??= this.context.onAbort((reason) => this.fail(reason));
    try {
      this.#run(await message);
    } catch (reason) {
      this.#give(toCallError(reason));
    }
  }

  #run(message: Message): void {
    const { context, environment } = this;
    if (context.reason !== undefined) {
      this.fail(context.reason);
      return;
    }
    this.#unsubscribe?.(); // From here on the dispatcher handles the abort.
    this.begin();
    environment.dispatcher.unary(this.#handler, message, context, this.rpc.write).then(
      (bytes) => {
        this.ended();
        if (this.compresses(bytes)) void this.#answerCompressed(bytes);
        else this.reply(0, bytes);
      },
      (reason: unknown) => {
        this.ended();
        this.fail(toCallError(reason));
      },
    );
  }

  async #answerCompressed(message: Uint8Array): Promise<void> {
    const { flags, bytes } = await compressReply(message);
    this.reply(flags, bytes);
  }

  #refuse(text: string): void {
    this.#give(new ConnectError(`${rpcName(this.context.method)} ${text}`, Code.Unimplemented));
  }

  #give(error: ConnectError): void {
    this.context.abort(error);
    this.fail(error);
  }
}

function watchIncomplete(): void {
  const calls = incomplete;
  incomplete = [];
  for (const call of calls) call.watch();
}
