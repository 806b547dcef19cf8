import type { Message } from "@bufbuild/protobuf";
import { toCallError } from "../../errors/errors.ts";
import { prefixBytes } from "../../wire/message-prefix.ts";
import type { StreamHandler } from "../../call/handler.ts";
import type { WireCall } from "./direct-call.ts";
import type { AdmittedRequest } from "./grpc-admission.ts";
import { compressReply } from "./message-compression.ts";
import { RequestQueue } from "./request-queue.ts";
import { ServerCall, type CallEnvironment } from "./server-call.ts";

/** Bytes written but not yet sent, above which the stream waits (back-pressure). */
const maxUnsentBytes = 64 * 1024;

/** A call of one of the three streaming kinds. */
export class ServerStreamCall extends ServerCall {
  readonly #handler: StreamHandler;
  readonly #requests: RequestQueue;
  #unsent = 0;
  #wake: (() => void) | undefined;

  constructor(
    environment: CallEnvironment,
    handler: StreamHandler,
    call: WireCall,
    request: AdmittedRequest,
  ) {
    super(environment, handler, call, request);
    this.#handler = handler;
    this.#requests = new RequestQueue(() => call.startRead());
  }

  onReceiveMetadata(): void {
    this.context.onAbort((reason) => {
      this.#requests.end(reason);
      this.fail(reason);
      this.#wake?.();
    });
    this.running = true;
    void this.#run();
  }

  protected received(message: Message): void {
    this.#requests.push(message);
  }

  protected requested(): void {
    this.#requests.end();
  }

  async #run(): Promise<void> {
    try {
      for await (const bytes of this.environment.dispatcher.stream(
        this.#handler,
        this.#requests,
        this.context,
        (reply) => this.encode(reply),
      )) {
        this.#send(this.compresses(bytes) ? await compressReply(bytes) : bytes);
        if (this.#unsent > maxUnsentBytes) await this.#drained();
      }
      this.running = false;
      this.finish();
    } catch (reason) {
      this.running = false;
      this.fail(toCallError(reason));
    }
  }

  #send(bytes: Buffer): void {
    const size = bytes.byteLength + prefixBytes;
    this.#unsent += size;
    this.write(bytes, () => {
      this.#unsent -= size;
      if (this.#unsent <= maxUnsentBytes) this.#wake?.();
    });
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      if (this.context.reason === undefined) this.#wake = resolve;
      else resolve();
    });
  }
}
