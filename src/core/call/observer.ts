import type { DescMethod } from "@bufbuild/protobuf";
import type { CallArrival } from "./call-arrival.ts";
import type { CallContext } from "./context.ts";
import { type ConnectError, isUnexpected, toCallError } from "../errors/errors.ts";
import type { RefusalKind } from "../errors/refusal-kind.ts";

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

/** The error that is a call's answer when these observers were asked; undefined for OK. */
export function answerOf(
  answerers: readonly CallObserver[] | undefined,
  context: CallContext,
  error: ConnectError | undefined,
): ConnectError | undefined {
  if (answerers === undefined) return error;
  let answer = error;
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

/** Notifies observers of a call that was refused before its handler; a fault of ours is a call that has failed. */
export function notifyRefused(
  observers: readonly CallObserver[],
  kind: RefusalKind,
  error: ConnectError,
  context: CallContext,
): void {
  if (isUnexpected(error)) {
    notify(observers, (observer) => observer.started?.(context));
    notify(observers, (observer) => observer.finished?.(context, error));
    return;
  }
  const { method, protocolName } = context;
  notify(observers, (observer) => observer.refused?.({ method, protocolName, kind, error, context }));
}
