import type { CallContext } from "../../call/context.ts";
import { Code, ConnectError } from "../../errors/errors.ts";
import { ClientCall } from "./client-call.ts";
import type { ClientRpc } from "./client-rpc.ts";
import { decompress } from "./message-compression.ts";
import { prefixBytes } from "../../wire/message-prefix.ts";
import { MessageReader, type MessageSink } from "../../wire/message-reader.ts";
import type { RequestStream } from "../../http2/session.ts";
import type { MergedConnectionOptions } from "../../http2/connection-options.ts";
import type { AttemptedCall, StreamSource, StreamSources } from "../../http2/stream-source.ts";

/** Receives the result of a unary call. */
export interface UnaryOutcome<T> {
  /** Converts the reply's message into the result; may throw. */
  readonly read: (bytes: Uint8Array) => T;
  readonly resolve: (result: T) => void;
  readonly reject: (reason: unknown) => void;
}

/** A call with one message in each direction. */
export class ClientUnaryCall<T> extends ClientCall implements MessageSink {
  readonly #request: Buffer;
  readonly #message: Uint8Array;
  readonly #outcome: UnaryOutcome<T>;
  readonly #options: MergedConnectionOptions;
  #maxMessageBytes: number;
  #reader: MessageReader | undefined;
  #reply: Buffer | undefined;
  #flags = 0;
  #replies = 0;

  /**
   * @param message The request.
   * @param request The same with its prefix, perhaps compressed.
   */
  constructor(
    sources: StreamSources,
    rpc: ClientRpc,
    context: CallContext,
    message: Uint8Array,
    request: Buffer,
    outcome: UnaryOutcome<T>,
  ) {
    super(sources, rpc, context);
    this.#message = message;
    this.#request = request;
    this.#outcome = outcome;
    this.#options = sources.options;
    this.#maxMessageBytes = sources.options.maxMessageBytes;
  }

  protected override get wholeBody(): Uint8Array {
    return this.#request;
  }

  get requestMessage(): Uint8Array {
    return this.#message;
  }

  arrived(chunk: Buffer, borrowed: boolean): void {
    try {
      this.#reader?.add(chunk, borrowed);
    } catch (error) {
      this.fail(error as ConnectError); // The reader throws nothing else.
    }
  }

  message(flags: number, bytes: Buffer): void {
    this.#reply = bytes;
    this.#flags = flags;
    this.#replies++;
  }

  /** The request is one message, which is passed on in full. */
  drained(): void {}

  get canTwin(): boolean {
    return true;
  }

  twin(source: StreamSource): AttemptedCall {
    const sources = { options: this.#options, sourceOf: () => source };
    const twin = new ClientUnaryCall(
      sources,
      this.rpc,
      this.context,
      this.#message,
      this.#request,
      this.#outcome,
    );
    twin.begin();
    return twin;
  }

  protected override send(stream: RequestStream): void {
    const { maxResponseBytes } = this.source.terms;
    if (maxResponseBytes !== undefined) this.#maxMessageBytes = maxResponseBytes;
    this.#reader = new MessageReader(this, this.#maxMessageBytes);
    stream.end(this.#request);
  }

  protected override renew(): void {
    this.#reply = undefined;
    this.#flags = this.#replies = 0;
  }

  override get repeatable(): boolean {
    return true;
  }

  override get committed(): boolean {
    return false;
  }

  override get requestBytes(): number {
    return this.#request.length - prefixBytes;
  }

  protected override finish(error: ConnectError | undefined): void {
    const { read, resolve, reject } = this.#outcome;
    const reply = this.#reply;
    if (error !== undefined) {
      reject(error);
    } else if (this.#reader?.partial === true) {
      reject(new ConnectError(`a reply of ${this.rpc.name} breaks off`, Code.Internal));
    } else if (reply === undefined || this.#replies > 1) {
      const found = reply === undefined ? "none" : "more";
      const text = `${this.rpc.name} answers with one message, ${found} came`;
      reject(new ConnectError(text, Code.Unimplemented));
    } else if (this.#flags === 0) {
      try {
        resolve(read(reply));
      } catch (reason) {
        reject(reason);
      }
    } else {
      const work = decompress(reply, this.encoding, this.#maxMessageBytes).then(read);
      this.context.race(work).then(resolve, reject);
    }
  }
}
