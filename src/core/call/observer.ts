import type { DescMethod } from "@bufbuild/protobuf";
import type { CallArrival } from "./call-arrival.ts";
import type { CallContext } from "./context.ts";
import { Code, ConnectError, isUnexpected, toCallError } from "../errors/errors.ts";
import { refusalKindOf, setRefusalKind, type RefusalKind } from "../errors/refusal-kind.ts";

/** A call that was refused before its handler. */
export interface RefusedCall {
  /** The rpc; undefined where none was found. */
  readonly method: DescMethod | undefined;
  /** Protocol of the call, as in `HandlerContext.protocolName`. */
  readonly protocolName: string;
  readonly kind: RefusalKind;
  /** What the client gets. */
  readonly error: ConnectError;
  /** Undefined for what was refused before there was a call. */
  readonly context: CallContext | undefined;
  /**
   * The head of a request over gRPC, or of a frame of a WebSocket, that was refused before there was a call. Undefined for
   * all others: observers are told of them by `answered`, or by `HttpObserver.requestEnded`.
   */
  readonly arrival?: CallArrival | undefined;
  /** HTTP status of the answer to a request over gRPC that is no call. Undefined for all others. */
  readonly status?: number | undefined;
  /** Who has sent a request over HTTP or gRPC that was refused before there was a call; undefined for all others. */
  readonly sender?: RefusedSender | undefined;
}

/** The sender of a request that was refused before there was a call. */
export interface RefusedSender {
  /** Address of the client, found out when it is read; empty for one without an address. */
  readonly client: string;
  /** The id of the request; undefined where requests get none. */
  readonly requestId: string | undefined;
}

export type { CallArrival };

/** How a call over gRPC or a WebSocket ended for its client. */
export interface CallAnswer {
  /** What the client gets; undefined for OK. */
  readonly error: ConnectError | undefined;
  /** Whether the client had left before. */
  readonly left: boolean;
}

/**
 * Called at the begin and the end of every call of a server, for every protocol. Logs and metrics are observers.
 *
 * If the gateway of the same process observes a call, the observers of the server behind it are not called again. An
 * exception of an observer becomes a warning of the process and does not affect the call, but for `answering`.
 */
export interface CallObserver {
  /**
   * Called when the head of a call has come over a connection, before gates are asked and its body is read. The other
   * functions follow for calls in this process, too.
   */
  arrived?(context: CallContext, arrival: CallArrival): void;
  /**
   * Called when the answer of a call over gRPC or a WebSocket has been sent, or its client has left. For calls of other
   * protocols `HttpObserver.requestEnded` is called.
   */
  answered?(context: CallContext, answer: CallAnswer): void;
  /** Called before the handler runs, when all gates have admitted the call. */
  started?(context: CallContext): void;
  /**
   * Called when the answer of a call is about to leave, before `finished`: what must be done before its client has it,
   * such as a record of it. An exception of this function is the answer in place of the call's own; streams have sent
   * their messages by then. `error` is undefined for OK.
   */
  answering?(context: CallContext, error: ConnectError | undefined): void;
  /** Called when the call has ended; `error` is undefined for OK. */
  finished?(context: CallContext, error: ConnectError | undefined): void;
  /** Called in place of both for a call that was refused before its handler. */
  refused?(call: RefusedCall): void;
}

/**
 * Calls `emit` with every observer. Observers never change the outcome of a call: an exception of one, or the rejection
 * of a promise that it returns, becomes a warning of the process, and the remaining observers are called all the same.
 */
export function notify<O>(observers: readonly O[], emit: (observer: O) => unknown): void {
  for (const observer of observers) {
    try {
      const result = emit(observer);
      if (result instanceof Promise) result.catch(warn);
    } catch (reason) {
      warn(reason);
    }
  }
}

/** The observers that may change an answer; undefined for none. */
export function answerersOf(observers: readonly CallObserver[]): readonly CallObserver[] | undefined {
  const found = observers.filter((observer) => observer.answering !== undefined);
  return found.length === 0 ? undefined : found;
}

/** The answer of a call when these observers were asked: an error, or undefined for OK. An error never becomes OK. */
export function answerOf<E extends ConnectError | undefined>(
  answerers: readonly CallObserver[] | undefined,
  context: CallContext,
  error: E,
): E | ConnectError {
  if (answerers === undefined) return error;
  let answer: E | ConnectError = error;
  for (const observer of answerers) {
    try {
      observer.answering?.(context, answer);
    } catch (reason) {
      answer = toCallError(reason);
    }
  }
  return answer;
}

function warn(reason: unknown): void {
  process.emitWarning(reason instanceof Error ? reason : String(reason));
}

/** Errors that observers have got as the end of a call, or of a request that was refused before there was a call. */
const reported = new WeakSet<ConnectError>();

/** Notifies observers that a call has begun; once for each call. */
export function notifyStarted(observers: readonly CallObserver[], context: CallContext): void {
  if (observers.length === 0 || context.report !== undefined) return;
  context.report = observers;
  notify(observers, (observer) => observer.started?.(context));
}

/** Notifies observers that a call has ended of whose begin they were notified; once for each call. */
export function notifyFinished(
  observers: readonly CallObserver[],
  context: CallContext,
  error: ConnectError | undefined,
): void {
  if (observers.length === 0 || context.report !== observers) return;
  context.report = "over";
  if (error !== undefined) reported.add(error);
  notify(observers, (observer) => observer.finished?.(context, error));
}

/** Notifies observers of a call that was refused before its handler; a fault of ours is a call that has failed. */
export function notifyRefused(
  observers: readonly CallObserver[],
  kind: RefusalKind,
  error: ConnectError,
  context: CallContext,
): void {
  if (observers.length === 0 || context.report !== undefined) return;
  if (isUnexpected(error)) {
    notifyFailed(observers, error, context);
    return;
  }
  context.report = "over";
  const { method, protocolName } = context;
  emitRefused(observers, { method, protocolName, kind, error, context });
}

/** Notifies observers of a call that has failed before its handler could be called. */
export function notifyFailed(
  observers: readonly CallObserver[],
  error: ConnectError,
  context: CallContext,
): void {
  notifyStarted(observers, context);
  notifyFinished(observers, context, error);
}

/**
 * Must be called at the end of every call that may have ended before its handler was called, as by a body that cannot be
 * read: notifies observers, unless they were already.
 *
 * @param error what the client gets; undefined where it has left
 */
export function notifyUnserved(
  observers: readonly CallObserver[],
  error: ConnectError | undefined,
  context: CallContext,
): void {
  if (observers.length === 0 || context.report !== undefined) return;
  const { reason } = context;
  if (error === undefined || (error === reason && isInterruption(error))) {
    const left = error ?? reason ?? new ConnectError("the client has left before the call", Code.Canceled);
    notifyFailed(observers, left, context);
  } else notifyRefused(observers, kindOf(error), error, context);
}

/** A request that was refused before there was a call. */
export type RefusedHead = Omit<RefusedCall, "kind" | "context">;

/** Notifies observers of a request that was refused before there was a call, unless they were already. */
export function notifyRefusedHead(observers: readonly CallObserver[], head: RefusedHead): void {
  const { error } = head;
  if (observers.length === 0 || isUnexpected(error) || reported.has(error)) return;
  emitRefused(observers, { ...head, kind: kindOf(error), context: undefined });
}

function emitRefused(observers: readonly CallObserver[], call: RefusedCall): void {
  reported.add(call.error);
  // The access log reads the kind later, of the error with which the request has ended.
  setRefusalKind(call.error, call.kind);
  notify(observers, (observer) => observer.refused?.(call));
}

/** Whether an error ends calls that are good. */
function isInterruption({ code }: ConnectError): boolean {
  return code === Code.Canceled || code === Code.DeadlineExceeded;
}

/** The kind of a refusal by no gate: of a closed server, or of what was sent. */
function kindOf(error: ConnectError): RefusalKind {
  return refusalKindOf(error) ?? (error.code === Code.Unavailable ? "draining" : "malformed");
}
