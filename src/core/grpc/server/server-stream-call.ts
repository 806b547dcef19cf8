import type { StreamHandler } from "../../call/handler.ts";
import { forEachOf } from "../../call/layered-stream.ts";
import { toCallError } from "../../errors/errors.ts";
import type { CallRequest, CallStream } from "./call-stream.ts";
import { compressReply } from "./message-compression.ts";
import { RequestQueue } from "./request-queue.ts";
import { ServerCall, type CallEnvironment } from "./server-call.ts";
import type { ServedRpc } from "./served-rpc.ts";

/** A call of one of the three streaming kinds. */
export class ServerStreamCall extends ServerCall {
  readonly #handler: StreamHandler;
  readonly #requests: RequestQueue;
  #wake: (() => void) | undefined;

  constructor(
    environment: CallEnvironment,
    rpc: ServedRpc,
    handler: StreamHandler,
    stream: CallStream,
    request: CallRequest,
  ) {
    super(environment, rpc, stream, request);
    this.#handler = handler;
    this.#requests = new RequestQueue(this.decoder, (bytes) => stream.use(bytes));
    this.context.onAbort((reason) => {
      this.#requests.end(reason);
      this.fail(reason);
      this.onDrain();
    });
    this.begin();
    this.context.onResponseHeader(() => this.sendHead());
    void this.#run();
  }

  override onDrain(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  protected received(flags: number, bytes: Buffer, held: number): boolean {
    this.#requests.push({ flags, bytes, held });
    return true;
  }

  protected requested(): void {
    this.#requests.end();
  }

  async #run(): Promise<void> {
    try {
      const { dispatcher } = this.environment;
      await forEachOf(
        dispatcher.stream(this.#handler, this.#requests, this.context, this.rpc.write),
        this.#send,
      );
      this.ended();
      this.finish();
    } catch (reason) {
      this.ended();
      this.fail(toCallError(reason));
    }
  }

  readonly #send = (message: Uint8Array): Promise<void> | undefined => {
    if (this.compresses(message)) return this.#sendCompressed(message);
    return this.write(0, message) ? undefined : this.#drained();
  };

  async #sendCompressed(message: Uint8Array): Promise<void> {
    const { flags, bytes } = await compressReply(message);
    if (!this.write(flags, bytes)) await this.#drained();
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      if (this.context.reason === undefined) this.#wake = resolve;
      else resolve();
    });
  }
}
