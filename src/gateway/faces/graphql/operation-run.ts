import type { DescMethod, DescMethodServerStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import { forEachOf, type Sink } from "../../../core/call/layered-stream.ts";
import { rpcName } from "../../../core/call/service.ts";
import { Code, ConnectError } from "../../../core/errors/errors.ts";
import type { CallGroup } from "../call-group.ts";
import type { FaceCall, FaceRpc } from "../face-call.ts";
import { failedRpc } from "./errors.ts";
import type { GraphqlOptions } from "./graphql-options.ts";
import { Loaders } from "./loaders.ts";
import type { EventStream, Operation } from "./operation.ts";
import type { Reference } from "./reference.ts";

/** What the operations of one contract share. */
export interface RunParts {
  readonly rpcOf: (method: DescMethod) => FaceRpc;
  readonly options: Pick<GraphqlOptions, "maxCalls" | "maxBatch" | "batchMs">;
  /** How long an operation may take whose client sets no time, in milliseconds; 0 for any. */
  readonly defaultTimeoutMs: () => number;
  readonly onBatch: (keys: number) => void;
  /** An operation has made as many calls as it may. */
  readonly onTooManyCalls: () => void;
}

/** One operation that is executed, with its calls. */
export class OperationRun implements Operation {
  readonly #parts: RunParts;
  readonly #group: CallGroup;
  readonly #deadline: number | undefined;
  #loaders: Loaders | undefined;
  /** The replies for fields at the root, by their names in the result. */
  #roots: Map<string, Promise<Message>> | undefined;
  #calls = 0;

  /** @param isStream whether it is a subscription, which may take any time */
  constructor(parts: RunParts, group: CallGroup, isStream: boolean) {
    const timeoutMs = isStream ? 0 : parts.defaultTimeoutMs();
    this.#parts = parts;
    this.#group = group;
    this.#deadline = timeoutMs > 0 ? performance.now() + timeoutMs : undefined;
  }

  readonly unary = async (method: DescMethodUnary, request: Message): Promise<Message> => {
    this.#count();
    const call = this.#parts.rpcOf(method).begin(this.#group);
    try {
      const waiting = call.admitted();
      if (waiting !== undefined) await waiting;
      const { context } = call;
      if (this.#deadline !== undefined && context.deadline === undefined) {
        context.limit(this.#deadline - performance.now());
      }
      return await call.unary(request);
    } catch (reason) {
      throw failedRpc(call.fail(reason), rpcName(method));
    } finally {
      call.end();
    }
  };

  root(key: string, method: DescMethodUnary, requestOf: () => Message): Promise<Message> {
    let reply = this.#roots?.get(key);
    if (reply !== undefined) return reply;
    reply = this.unary(method, requestOf());
    reply.catch(() => {}); // It is awaited by its field, unless a field before that has failed.
    (this.#roots ??= new Map()).set(key, reply);
    return reply;
  }

  stream(method: DescMethodServerStreaming, request: Message): EventStream<Message> {
    return new ReplyStream(
      method,
      request,
      () => {
        this.#count();
        return this.#parts.rpcOf(method).begin(this.#group);
      },
      () => this.#nextEvent(),
    );
  }

  load(reference: Reference, key: string): Promise<unknown> {
    this.#loaders ??= new Loaders(this.unary, this.#parts.options, this.#parts.onBatch);
    return this.#loaders.load(reference, key);
  }

  /** Each event of a subscription is executed for itself. */
  #nextEvent(): void {
    this.#loaders = undefined;
    this.#calls = 0;
  }

  #count(): void {
    const { maxCalls } = this.#parts.options;
    if (++this.#calls <= maxCalls) return;
    if (this.#calls === maxCalls + 1) this.#parts.onTooManyCalls();
    throw new ConnectError(
      `the operation makes more than ${maxCalls} calls (maxCalls)`,
      Code.ResourceExhausted,
    );
  }
}

/** The replies of a server stream, whose call begins when the first is asked for, and ends at once with `return`. */
class ReplyStream implements EventStream<Message> {
  readonly #method: DescMethod;
  readonly #request: Message;
  readonly #begin: () => FaceCall;
  readonly #onEvent: () => void;
  #call: FaceCall | undefined;
  #replies: AsyncGenerator<Message, void, undefined> | undefined;
  #isOver = false;

  constructor(method: DescMethod, request: Message, begin: () => FaceCall, onEvent: () => void) {
    this.#method = method;
    this.#request = request;
    this.#begin = begin;
    this.#onEvent = onEvent;
  }

  async next(): Promise<IteratorResult<Message>> {
    if (this.#isOver) return { done: true, value: undefined };
    try {
      this.#replies ??= await this.#open();
      const result = await this.#replies.next();
      if (result.done === true) {
        this.#end();
        return { done: true, value: undefined };
      }
      this.#onEvent();
      return result;
    } catch (reason) {
      this.#failed(reason);
      return { done: true, value: undefined };
    }
  }

  async passAll(sink: Sink<Message>): Promise<void> {
    if (this.#isOver) return;
    try {
      this.#replies ??= await this.#open();
      await forEachOf(this.#replies, (reply) => {
        this.#onEvent();
        return sink(reply);
      });
      this.#end();
    } catch (reason) {
      this.#failed(reason);
    }
  }

  /** @throws the error of the call, unless the client has ended it */
  #failed(reason: unknown): void {
    const wasOver = this.#isOver;
    const error = this.#call?.fail(reason) ?? reason;
    this.#end();
    if (!wasOver) throw error instanceof ConnectError ? failedRpc(error, rpcName(this.#method)) : error;
  }

  /** The client wants no more: the call is cancelled, also while a reply is waited for. */
  async return(): Promise<IteratorResult<Message>> {
    if (!this.#isOver) {
      const [call, replies] = [this.#call, this.#replies];
      this.#isOver = true;
      call?.context.abort(new ConnectError("the client has ended the subscription", Code.Canceled));
      await replies?.return().catch(() => {}); // Cancelled as wanted.
      call?.end();
    }
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #open(): Promise<AsyncGenerator<Message, void, undefined>> {
    const call = (this.#call = this.#begin());
    const waiting = call.admitted();
    if (waiting !== undefined) await waiting;
    return call.stream(only(this.#request));
  }

  #end(): void {
    this.#isOver = true;
    this.#call?.end();
  }
}

async function* only(request: Message): AsyncGenerator<Message> {
  yield request;
}
