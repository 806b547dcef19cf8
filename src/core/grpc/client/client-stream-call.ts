import type { Message } from "@bufbuild/protobuf";
import { Abortable } from "../../call/abortable.ts";
import type { CallContext } from "../../call/context.ts";
import { ReplyBatch } from "../../call/batches.ts";
import { Code, ConnectError, toRequestError } from "../../errors/errors.ts";
import { requestTooLarge } from "../../errors/request-too-large.ts";
import { ClientCall } from "./client-call.ts";
import { FewRequests } from "./few-requests.ts";
import type { ClientRpc } from "./client-rpc.ts";
import { decompress, requestCoding } from "./message-compression.ts";
import { compressedFlag, prefixBytes, withPrefixes } from "../../wire/message-prefix.ts";
import { MessageReader, type MessageSink } from "../../wire/message-reader.ts";
import type { ReplyFields } from "../../http2/reply-status.ts";
import type { RequestStream } from "../../http2/session.ts";
import type { MergedConnectionOptions } from "../../http2/connection-options.ts";
import type { AttemptedCall, KeptRequests, StreamSource, StreamSources } from "../../http2/stream-source.ts";

/** Replies buffered for the caller, in bytes; above it the stream is paused and the server waits (back-pressure). */
const waitingBytes = 64 * 1024;

/**
 * A streaming call: sends requests under HTTP/2 flow control and buffers few replies. Its requests come one by one or in
 * batches, and so can its replies be read.
 */
export class ClientStreamCall<Requests> extends ClientCall implements MessageSink {
  readonly #options: MergedConnectionOptions;
  #maxMessageBytes: number;
  readonly #compressed: boolean;
  /** The call that the caller reads, if this one is a twin of it. */
  #original: ClientStreamCall<Requests> | undefined;
  /** The twin whose replies the caller gets; undefined while that is not decided, and for those of this call. */
  #chosen: ClientStreamCall<Requests> | undefined;
  #reader: MessageReader | undefined;
  readonly #requests: Abortable<Requests>;
  readonly #toBytes: (requests: Requests) => readonly Uint8Array[];
  #pumping = false;
  /** Requests sent before the reply began; undefined before the first attempt. */
  #kept: KeptRequests | undefined;
  #committed = false;
  #allSent = false;
  /** Resumes the pump. */
  #resume: (() => void) | undefined;
  /** Replies that the caller has not read. */
  readonly #replies: { readonly flags: number; readonly bytes: Buffer }[] = [];
  /** The batch that the caller reads. */
  #batch: ReplyBatch | undefined;
  #replyBytes = 0;
  /** Whether the stream is paused. */
  #paused = false;
  /** Resumes the caller that waits in `next()`. */
  #wake: (() => void) | undefined;
  #error: ConnectError | undefined;

  /** @param toBytes encodes what `requests` yields, one message or several. Throws ConnectErrors. */
  constructor(
    sources: StreamSources,
    rpc: ClientRpc,
    context: CallContext,
    requests: AsyncIterable<Requests>,
    toBytes: (requests: Requests) => readonly Uint8Array[],
  ) {
    super(sources, rpc, context);
    this.#options = sources.options;
    const { maxMessageBytes, compression } = sources.options;
    this.#maxMessageBytes = maxMessageBytes;
    this.#compressed = compression === requestCoding.name;
    this.#requests = new Abortable(requests, context);
    this.#toBytes = toBytes;
  }

  /** The next reply; undefined at the end of the call. */
  async next(): Promise<Message | undefined> {
    for (;;) {
      if (this.#chosen !== undefined) return this.#chosen.next();
      if (this.context.reason !== undefined) throw this.#error ?? this.context.reason;
      const reply = this.#replies.shift();
      if (reply !== undefined) return this.#read(reply.flags, reply.bytes);
      if (this.#error !== undefined) throw this.#error;
      if (this.ended) return undefined;
      await this.#arrival();
    }
  }

  /** The replies that were left unread of the last batch, or those that have arrived; undefined at the end of the call. */
  async nextBatch(): Promise<ReplyBatch | undefined> {
    for (;;) {
      if (this.#chosen !== undefined) return this.#chosen.nextBatch();
      if (this.context.reason !== undefined) throw this.#error ?? this.context.reason;
      if (this.#batch?.done === false) return this.#batch;
      const [first] = this.#replies;
      if (first !== undefined) {
        const plain =
          first.flags === 0 ? this.#takePlain() : [await this.#decompress(this.#take(1)[0] ?? first.bytes)];
        return (this.#batch = new ReplyBatch(plain));
      }
      if (this.#error !== undefined) throw this.#error;
      if (this.ended) return undefined;
      await this.#arrival();
    }
  }

  /** Waits until a reply may have arrived or the call may have ended: the caller checks both. */
  #arrival(): Promise<void> {
    if (this.#paused) {
      this.#paused = false;
      this.stream?.resume();
      return Promise.resolve(); // Resuming may have delivered data at once.
    }
    return new Promise((resolve) => (this.#wake = resolve));
  }

  /** Cancels the call if it has not ended. */
  cancel(): void {
    this.#chosen?.cancel();
    if (this.ended) return; // Most streams end by themselves: an error with its stack is not worth making.
    this.fail(new ConnectError("the caller cancelled the call", Code.Canceled));
  }

  get canTwin(): boolean {
    return this.#allSent && this.repeatable;
  }

  twin(source: StreamSource): AttemptedCall {
    const sources = { options: this.#options, sourceOf: () => source };
    const twin = new ClientStreamCall(sources, this.rpc, this.context, noRequests(), this.#toBytes);
    twin.#original = this.#original ?? this;
    twin.#kept = new SentRequests(this.#kept?.messages ?? []);
    twin.#allSent = twin.#pumping = true;
    twin.begin();
    return twin;
  }

  override drop(): void {
    if (this.ended) return;
    super.drop();
    this.#letGo();
  }

  override answered(headers: ReplyFields, ended: boolean): void {
    if (!ended) {
      this.#committed = true;
      this.#original?.choose(this);
      this.#kept?.release();
    }
    super.answered(headers, ended);
    if (!ended && !this.ended) this.context.responseHeaderArrived();
  }

  arrived(chunk: Buffer, borrowed: boolean): void {
    try {
      this.#reader?.add(chunk, borrowed);
    } catch (error) {
      this.fail(error as ConnectError); // The reader throws nothing else.
    }
    if (this.#replyBytes > waitingBytes && !this.#paused) {
      this.#paused = true;
      this.stream?.pause();
    }
  }

  message(flags: number, bytes: Buffer): void {
    this.#replies.push({ flags, bytes });
    this.#replyBytes += prefixBytes + bytes.length;
    this.#wakeUp();
  }

  drained(): void {
    this.#resume?.();
  }

  protected override send(stream: RequestStream): void {
    const { maxResponseBytes } = this.source.terms;
    if (maxResponseBytes !== undefined) this.#maxMessageBytes = maxResponseBytes;
    this.#reader = new MessageReader(this, this.#maxMessageBytes);
    this.#kept ??= this.source.keptRequests?.() ?? new FewRequests();
    for (const request of this.#kept.messages) stream.write(request);
    if (this.#allSent) stream.end();
    if (this.#pumping) {
      this.#resume?.();
    } else {
      this.#pumping = true;
      void this.#pump();
    }
  }

  /** Nothing of a reply: with its first headers there is no further attempt. */
  protected override renew(): void {}

  override get repeatable(): boolean {
    return this.#kept?.isWhole !== false;
  }

  override get committed(): boolean {
    return this.#committed;
  }

  /** Its requests are checked one by one. */
  override get requestBytes(): undefined {
    return undefined;
  }

  protected override finish(error: ConnectError | undefined): void {
    if (error === undefined && this.#reader?.partial === true) {
      this.#error = new ConnectError(`a reply of ${this.rpc.name} breaks off`, Code.Internal);
    } else {
      this.#error = error;
    }
    this.#original?.choose(this);
    this.#letGo();
  }

  /** From now on the caller gets the replies of a twin. */
  protected choose(twin: ClientStreamCall<Requests>): void {
    this.#chosen = twin;
    this.#wakeUp();
  }

  /** After the end: of requests, and of what waits for replies. */
  #letGo(): void {
    this.#kept?.release();
    void this.#requests.return();
    this.#resume?.();
    this.#wakeUp();
  }

  async #pump(): Promise<void> {
    try {
      for await (const request of this.#requests) {
        if (this.ended) return;
        const bytes = this.#toBytes(request);
        this.#checkSizes(bytes);
        const framed = this.#compressed ? await compressed(bytes) : withPrefixes(bytes);
        while (this.stream === undefined && !this.ended) await this.#pause();
        if (this.ended) return;
        this.#kept?.keep(framed);
        if (this.stream?.write(framed) === false) await this.#pause();
        if (this.ended) return;
      }
      if (this.ended) return;
      this.#allSent = true;
      this.stream?.end();
    } catch (error) {
      this.fail(toRequestError(error));
    }
  }

  /** Waits for a drain, for a further attempt or for the end. */
  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => (this.#resume = resolve));
    this.#resume = undefined;
  }

  #checkSizes(messages: readonly Uint8Array[]): void {
    const { maxRequestBytes } = this.source.terms;
    if (maxRequestBytes === undefined) return;
    for (const { length } of messages) {
      if (length > maxRequestBytes) throw requestTooLarge(this.rpc.method, length, maxRequestBytes);
    }
  }

  async #read(flags: number, bytes: Buffer): Promise<Message> {
    this.#replyBytes -= prefixBytes + bytes.length;
    try {
      return this.rpc.toMessage(flags === 0 ? bytes : await this.#decompress(bytes));
    } catch (error) {
      this.fail(error as ConnectError); // Both throw nothing else.
      throw error;
    }
  }

  /** The replies that have arrived, up to one that is compressed. */
  #takePlain(): readonly Buffer[] {
    const compressedAt = this.#replies.findIndex(({ flags }) => flags !== 0);
    return this.#take(compressedAt === -1 ? this.#replies.length : compressedAt);
  }

  #take(count: number): readonly Buffer[] {
    return this.#replies.splice(0, count).map(({ bytes }) => {
      this.#replyBytes -= prefixBytes + bytes.length;
      return bytes;
    });
  }

  #decompress(bytes: Buffer): Promise<Uint8Array> {
    return this.context.race(decompress(bytes, this.encoding, this.#maxMessageBytes));
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

/** The requests of a twin, which the original call has sent before. */
class SentRequests implements KeptRequests {
  readonly isWhole = true;
  readonly messages: readonly Uint8Array[];

  /** @param messages as of now: those of the original are let go by themselves */
  constructor(messages: readonly Uint8Array[]) {
    this.messages = [...messages];
  }

  keep(): void {}

  release(): void {}
}

async function* noRequests(): AsyncGenerator<never, void, undefined> {}

/** The messages, compressed, each behind its prefix. */
async function compressed(messages: readonly Uint8Array[]): Promise<Buffer> {
  const small: Uint8Array[] = [];
  for (const message of messages) small.push(await requestCoding.compress(message));
  return withPrefixes(small, compressedFlag);
}
