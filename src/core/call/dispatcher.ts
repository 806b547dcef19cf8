import type { DescMethod, DescService, Message } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import { LayeredStream, type StreamLayer } from "./layered-stream.ts";
import type { CallAdmission } from "./admit.ts";
import type { Ambient } from "./ambient.ts";
import type { CallContext } from "./context.ts";
import { Code, ConnectError, toCallError } from "../errors/errors.ts";
import { refusalKindOf, setRefusalKind } from "../errors/refusal-kind.ts";
import { createHandler, type Handler, type StreamHandler, type UnaryHandler } from "./handler.ts";
import type { ChecksOf, RpcChecks } from "./message-checks.ts";
import { LiveSet } from "./live-set.ts";
import { FaultLog, type FaultLogOptions } from "./fault-log.ts";
import {
  answerersOf,
  answerOf,
  type CallObserver,
  notifyFinished,
  notifyRefused,
  notifyStarted,
  notifyUnserved,
} from "./observer.ts";
import { checkProtobufCopy } from "./protobuf-copy.ts";
import { checkedReplies, checkedRequests, checkRequest, requestCheckOf, withChecks } from "./rpc-checks.ts";
import { rpcName, type AnyService } from "./service.ts";
import { writeReply, type WriteReply } from "./write-reply.ts";

/** Options of a `Dispatcher`. */
export interface DispatcherOptions extends FaultLogOptions {
  /** Interceptors around every call of a service, the outermost first. Default: none. */
  readonly interceptors: readonly Interceptor[];
  /** Called at the begin and the end of every call. Default: none. */
  readonly observers: readonly CallObserver[];
  /** Timeout of a unary call whose client set no deadline, in milliseconds; 0 for none. Default: 30,000. */
  readonly defaultTimeoutMs: number;
  /** The longest timeout that a client may set, in milliseconds; 0 for any. Default: 300,000. */
  readonly maxTimeoutMs: number;
  /**
   * Makes handlers and interceptors find their call by themselves: with `ambient` of `ts-ms/ambient`, calls that they
   * make by transports with the same option are part of it. Default: none.
   */
  readonly ambient: Ambient | undefined;
}

/** The defaults of `DispatcherOptions`. */
export const dispatcherDefaults: DispatcherOptions = Object.freeze({
  interceptors: [],
  observers: [],
  logger: undefined,
  defaultTimeoutMs: 30_000,
  maxTimeoutMs: 300_000,
  ambient: undefined,
});

/** What decides on the calls of a dispatcher beside their handlers. */
export interface DispatcherParts {
  /** Decides on calls that are made in this process. Default: every call may be made. */
  readonly admission?: CallAdmission | undefined;
  /** Asked once for each rpc. Default: messages are not checked beyond their types. */
  readonly checksOf?: ChecksOf | undefined;
}

/** Ends a call with an error, or undefined for OK. @returns the status that its client gets */
export type FinishCall = <E extends ConnectError | undefined>(error: E) => E | ConnectError;

/**
 * All handlers of a server, called the same way by every protocol, and the set of the calls in flight.
 *
 * A protocol constructs a `CallContext`, looks up the handler of the rpc, runs it by `unary` or `stream` and ends the
 * context. Deadlines, observers and the drain are handled here, the same way for every protocol.
 */
export class Dispatcher {
  #options: DispatcherOptions;
  readonly #services = new Map<string, AnyService>();
  readonly #handlers = new Map<string, Handler>();
  readonly #handlersByMethod = new Map<DescMethod, Handler>();
  readonly #faults: FaultLog;
  /** Observers that may change answers; undefined for none. */
  readonly #answerers: readonly CallObserver[] | undefined;
  readonly #inFlight = new LiveSet<CallContext>();
  /** Decides on calls that are made in this process; undefined where every call may be made. */
  admission: CallAdmission | undefined;
  readonly #checksOf: ChecksOf | undefined;
  readonly #streams: StreamOwner = {
    begin: (context, limitMs, observe) => this.#begin(context, 0, limitMs, observe),
    finish: (context, error, observe) => this.#finish(context, error, observe),
  };
  #closed = false;

  constructor(options: Partial<DispatcherOptions> = {}, { admission, checksOf }: DispatcherParts = {}) {
    this.#options = { ...dispatcherDefaults, ...options };
    this.#faults = new FaultLog(this.#options);
    this.#answerers = answerersOf(this.#options.observers);
    this.admission = admission;
    this.#checksOf = checksOf;
  }

  /**
   * Registers a service.
   *
   * @param interceptors Interceptors around its calls, the outermost first. Default: those of the options.
   * @throws TypeError if a service of this name is registered already, a member named like an rpc is no function, or
   *   the descriptor comes from another version of `@bufbuild/protobuf`; SetupError of the checks of an rpc.
   */
  add(service: AnyService, interceptors: readonly Interceptor[] = this.#options.interceptors): void {
    checkProtobufCopy(service.descriptor);
    const { typeName, methods } = service.descriptor;
    if (this.#services.has(typeName)) throw new TypeError(`${typeName} is registered twice`);
    const { ambient } = this.#options;
    const handlers = methods.map((method) =>
      withChecks(createHandler(service, method, interceptors, ambient), this.#checksOf?.(method)),
    );
    this.#services.set(typeName, service);
    for (const handler of handlers) {
      this.#handlers.set(rpcName(handler.method), handler);
      this.#handlersByMethod.set(handler.method, handler);
    }
  }

  /** Forgets a service; its calls in flight are completed. */
  remove({ typeName, methods }: DescService): void {
    this.#services.delete(typeName);
    for (const method of methods) {
      const name = rpcName(method);
      const handler = this.#handlers.get(name);
      this.#handlers.delete(name);
      if (handler !== undefined) this.#handlersByMethod.delete(handler.method);
    }
  }

  /** The descriptors of all registered services, in the order of registration. */
  get services(): readonly DescService[] {
    return [...this.#services.values()].map((service) => service.descriptor);
  }

  /** All registered services, in the order of registration. */
  get registered(): readonly AnyService[] {
    return [...this.#services.values()];
  }

  /** Other timeouts for the calls that begin from now on. */
  reload({
    defaultTimeoutMs,
    maxTimeoutMs,
  }: Pick<DispatcherOptions, "defaultTimeoutMs" | "maxTimeoutMs">): void {
    this.#options = { ...this.#options, defaultTimeoutMs, maxTimeoutMs };
  }

  /** The handler of an rpc by its name, `package.Service/Method`. */
  handler(name: string): Handler | undefined {
    return this.#handlers.get(name);
  }

  /**
   * The handler of an rpc by its descriptor.
   *
   * @throws ConnectError UNIMPLEMENTED if the rpc is not registered here.
   */
  handlerOf(method: DescMethod): Handler {
    // The same rpc has another descriptor object where its contract was loaded separately.
    const handler = this.#handlersByMethod.get(method) ?? this.#handlers.get(rpcName(method));
    if (handler === undefined) {
      const text = `${rpcName(method)} is not registered on this server`;
      const error = new ConnectError(text, Code.Unimplemented);
      setRefusalKind(error, "no_route");
      throw error;
    }
    return handler;
  }

  /** Number of calls in flight. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  /**
   * Runs a unary rpc. Resolves with the result of `write` for its reply, or with the reply if there is no `write`.
   * Rejects with a `ConnectError`.
   *
   * @param observe Whether observers are called and faults are logged. Default: true.
   */
  async unary<T = Message>(
    handler: UnaryHandler,
    request: Message,
    context: CallContext,
    write?: WriteReply<T>,
    observe = true,
  ): Promise<T> {
    const { checks } = handler;
    const checking = checks && this.#checkRequest(checks, request, context, observe);
    if (checking !== undefined) await checking;
    this.#begin(context, this.#options.defaultTimeoutMs, handler.limitMs, observe);
    const send = checks === undefined ? write : checkedReplies(checks, context, write);
    let reply: T;
    try {
      const { trace } = context;
      const called =
        trace === undefined
          ? handler.call(request, context)
          : trace.run(() => handler.call(request, context));
      reply = writeReply(handler.method, send, await called);
    } catch (reason) {
      throw this.#finish(context, toCallError(reason), observe);
    }
    const refused = this.#finish(context, undefined, observe);
    if (refused !== undefined) throw refused;
    return reply;
  }

  /**
   * Runs a streaming rpc. Yields the result of `write` for each reply, or the reply if there is no `write`. Throws
   * `ConnectError`s. Ending the iteration early cancels the call.
   *
   * @param observe As for `unary`.
   */
  stream<T = Message>(
    handler: StreamHandler,
    requests: AsyncIterable<Message>,
    context: CallContext,
    write?: WriteReply<T>,
    observe = true,
  ): AsyncGenerator<T, void, undefined> {
    const { checks } = handler;
    const input = checks === undefined ? requests : this.#checkedRequests(checks, requests, context);
    const send = checks === undefined ? write : checkedReplies(checks, context, write);
    return new LayeredStream<T>(
      new HandledStream(handler, input, context, send && itemOf(handler, send), observe, this.#streams),
    );
  }

  /**
   * A call begins whose handler is none of this dispatcher's: it is counted, limited and observed like all others.
   *
   * @returns the function to call at its end, before its status is sent
   * @throws ConnectError UNAVAILABLE if the dispatcher is closed
   */
  follow(context: CallContext): FinishCall {
    this.#begin(context, 0, undefined, true);
    return (error) => this.#finish(context, error, true);
  }

  /** Must be called with the error of a call that may have ended before its handler: see `notifyUnserved`. */
  unserved(context: CallContext, error: ConnectError): void {
    notifyUnserved(this.#options.observers, error, context);
  }

  /** From now on new calls fail with UNAVAILABLE. */
  close(): void {
    this.#closed = true;
    this.drain();
  }

  /** Calls under way that wait for no good reason go on. */
  drain(): void {
    for (const context of this.#inFlight) context.drain();
  }

  /** Resolves when no call is in flight. */
  idle(): Promise<void> {
    return this.#inFlight.idle();
  }

  /** The calls in flight. */
  get calls(): readonly CallContext[] {
    return [...this.#inFlight];
  }

  /** A refused request is no call that has begun. */
  #checkRequest(
    checks: RpcChecks,
    request: Message,
    context: CallContext,
    observe: boolean,
  ): Promise<void> | undefined {
    const check = this.#closed ? undefined : requestCheckOf(checks, context);
    if (check === undefined) return undefined;
    const fail = (reason: unknown): never => {
      const error = toCallError(reason);
      if (observe)
        notifyRefused(this.#options.observers, refusalKindOf(error) ?? "validation", error, context);
      this.#faults.call(error, context);
      throw error;
    };
    try {
      return checkRequest(checks, check, request, context)?.catch(fail);
    } catch (reason) {
      return fail(reason);
    }
  }

  /** A message that is refused ends its call. */
  #checkedRequests(
    checks: RpcChecks,
    requests: AsyncIterable<Message>,
    context: CallContext,
  ): AsyncIterable<Message> {
    const check = requestCheckOf(checks, context);
    if (check === undefined) return requests;
    return checkedRequests(checks, check, requests, (reason) => context.abort(toCallError(reason)));
  }

  /** @param limitMs of the contract: the default and the longest time of the call; undefined for none */
  #begin(
    context: CallContext,
    defaultTimeoutMs: number,
    limitMs: number | undefined,
    observe: boolean,
  ): void {
    if (this.#closed) throw new ConnectError("the server is shutting down", Code.Unavailable);
    this.#inFlight.add(context);
    const { maxTimeoutMs, observers } = this.#options;
    if (limitMs !== undefined) context.limit(limitMs);
    if (context.deadline !== undefined) {
      if (maxTimeoutMs > 0) context.limit(maxTimeoutMs);
    } else if (defaultTimeoutMs > 0) {
      context.limit(defaultTimeoutMs);
    }
    if (observe) notifyStarted(observers, context);
  }

  /** @returns what its client gets */
  #finish<E extends ConnectError | undefined>(
    context: CallContext,
    error: E,
    observe: boolean,
  ): E | ConnectError {
    this.#inFlight.delete(context);
    const { observers } = this.#options;
    if (!observe || (error === undefined && observers.length === 0)) return error;
    const answer = answerOf(this.#answerers, context, error);
    notifyFinished(observers, context, answer);
    if (answer !== undefined) this.#faults.call(answer, context);
    return answer;
  }
}

/** What a dispatcher does at the ends of streams. */
interface StreamOwner {
  begin(context: CallContext, limitMs: number | undefined, observe: boolean): void;
  finish<E extends ConnectError | undefined>(
    context: CallContext,
    error: E,
    observe: boolean,
  ): E | ConnectError;
}

/** The call of a handler whose replies are a stream; one object for each, as each member of a room is such a call. */
class HandledStream implements StreamLayer {
  readonly item: StreamLayer["item"];
  readonly #handler: StreamHandler;
  readonly #input: AsyncIterable<Message>;
  readonly #context: CallContext;
  readonly #observe: boolean;
  readonly #owner: StreamOwner;

  constructor(
    handler: StreamHandler,
    input: AsyncIterable<Message>,
    context: CallContext,
    item: StreamLayer["item"],
    observe: boolean,
    owner: StreamOwner,
  ) {
    this.#handler = handler;
    this.#input = input;
    this.#context = context;
    this.item = item;
    this.#observe = observe;
    this.#owner = owner;
  }

  begin(): void {
    this.#owner.begin(this.#context, this.#handler.limitMs, this.#observe);
  }

  open(): AsyncIterable<unknown> {
    const context = this.#context;
    const { trace } = context;
    const call = (): AsyncGenerator<Message> => this.#handler.call(this.#input, context);
    if (trace === undefined) return call();
    return trace.iterate({ [Symbol.asyncIterator]: () => trace.run(() => call()[Symbol.asyncIterator]()) });
  }

  ended(): void {
    const refused = this.#owner.finish(this.#context, undefined, this.#observe);
    if (refused !== undefined) throw refused;
  }

  failed(reason: unknown): ConnectError {
    const error = toCallError(reason);
    this.#context.abort(error); // Cancels what the handler started with this context.
    return this.#owner.finish(this.#context, error, this.#observe);
  }

  cancelled(): void {
    this.failed(this.#context.reason ?? new ConnectError("the caller cancelled the call", Code.Canceled));
  }
}

/** What the items of a handler's streams are passed through; that of the last call, as most calls are written alike. */
interface WrittenItems {
  readonly send: WriteReply<unknown>;
  readonly item: (reply: unknown) => unknown;
}

const writtenItems = new WeakMap<StreamHandler, WrittenItems>();

/** One function for all calls of a handler that are written alike: a topic calls it for each of its members. */
function itemOf(handler: StreamHandler, send: WriteReply<unknown>): WrittenItems["item"] {
  const known = writtenItems.get(handler);
  if (known?.send === send) return known.item;
  const { method } = handler;
  const item = (reply: unknown): unknown => writeReply(method, send, reply as Message); // The handler made it one.
  writtenItems.set(handler, { send, item });
  return item;
}
