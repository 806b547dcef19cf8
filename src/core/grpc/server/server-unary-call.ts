import type { Message } from "@bufbuild/protobuf";
import { Code, ConnectError, toCallError } from "../../errors/errors.ts";
import type { UnaryHandler } from "../../call/handler.ts";
import { rpcName } from "../../call/service.ts";
import type { WireCall } from "./direct-call.ts";
import type { AdmittedRequest } from "./grpc-admission.ts";
import { compressReply } from "./message-compression.ts";
import { ServerCall, type CallEnvironment } from "./server-call.ts";

/** A unary call: one request message, one reply message. */
export class ServerUnaryCall extends ServerCall {
  readonly #handler: UnaryHandler;
  readonly #unsubscribe: () => void;
  #message: Message | undefined;

  constructor(environment: CallEnvironment, handler: UnaryHandler, call: WireCall, request: AdmittedRequest) {
    super(environment, handler, call, request);
    this.#handler = handler;
    const { context } = this;
    // The dispatcher limits the handler; this limits the wait for the request message.
    const limit = context.deadline === undefined ? environment.defaultTimeoutMs : environment.maxTimeoutMs;
    if (limit > 0) context.limit(limit);
    this.#unsubscribe = context.onAbort((reason) => this.fail(reason));
  }

  onReceiveMetadata(): void {
    this.call.startRead();
  }

  protected received(message: Message): void {
    if (this.#message !== undefined) {
      this.#refuse("takes one message, more came");
      return;
    }
    this.#message = message;
    this.call.startRead();
  }

  protected requested(): void {
    if (this.#message === undefined) {
      this.#refuse("takes one message, none came");
      return;
    }
    const { context, environment } = this;
    if (context.reason !== undefined) return;
    this.#unsubscribe(); // From here on the dispatcher handles the abort.
    this.running = true;
    environment.dispatcher
      .unary(this.#handler, this.#message, context, (reply) => this.encode(reply))
      .then(
        (bytes) => {
          this.running = false;
          if (this.compresses(bytes)) void this.#answerCompressed(bytes);
          else this.#answer(bytes);
        },
        (reason: unknown) => {
          this.running = false;
          this.fail(toCallError(reason));
        },
      );
  }

  #answer(bytes: Buffer): void {
    if (this.write(bytes, nothing)) this.finish();
  }

  async #answerCompressed(bytes: Buffer): Promise<void> {
    this.#answer(await compressReply(bytes));
  }

  #refuse(text: string): void {
    this.context.abort(new ConnectError(`${rpcName(this.context.method)} ${text}`, Code.Unimplemented));
  }
}

function nothing(): void {}
