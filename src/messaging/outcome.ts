import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { Code, ConnectError } from "../core/errors/errors.ts";
import { retryInfo } from "../core/errors/retry-info.ts";
import type { Outcome } from "./consume-settings.ts";

/** Why a message is a dead letter. */
export type DeadReason =
  /** An error that another try would not change. */
  | "permanent"
  /** All attempts have failed. */
  | "attempts"
  /** It is no event, or its body is no message of its type. */
  | "undecodable"
  /** No rpc of the group takes its type. */
  | "unknown-type"
  /** Body or headers are over a limit. */
  | "too-large"
  /** A gate has refused it. */
  | "refused"
  /** It has ended processes. */
  | "crash-loop"
  /** It came back to where it had been, too often. */
  | "loop"
  /** The broker has taken it out itself. */
  | "broker";

/** What a run has shown. */
export type Verdict =
  | { readonly kind: "ok" }
  /** It is settled as if it had been handled. */
  | { readonly kind: "drop"; readonly error: ConnectError }
  | { readonly kind: "retry"; readonly error: ConnectError }
  | { readonly kind: "dead"; readonly reason: DeadReason; readonly error: ConnectError }
  /** This side has ended the run: the broker shall deliver the message again, and no attempt counts. */
  | { readonly kind: "release" };

/** What becomes of errors by default; codes of services' own are tried again. */
const byDefault: ReadonlyMap<Code, Outcome> = new Map([
  [Code.InvalidArgument, "dead"],
  [Code.NotFound, "dead"],
  [Code.AlreadyExists, "dead"],
  [Code.PermissionDenied, "dead"],
  [Code.Unauthenticated, "dead"],
  [Code.FailedPrecondition, "dead"],
  [Code.OutOfRange, "dead"],
  [Code.DataLoss, "dead"],
]);

/** The `google.rpc.ErrorInfo` of a message that its handler discards: it is kept by copies, and over networks. */
const discarded = Object.freeze({ reason: "MESSAGE_DISCARDED", domain: "ts-ms" });

/**
 * What the outcome of a run makes of its message.
 *
 * @param error undefined for OK
 * @param abortedBy why this side has ended the run; undefined where it has not
 * @param outcomes what contract and server say of codes, the first one that says something
 */
export function verdictOf(
  error: ConnectError | undefined,
  abortedBy: ConnectError | undefined,
  outcomes: readonly ReadonlyMap<Code, Outcome>[],
): Verdict {
  if (error === undefined) return { kind: "ok" };
  if (abortedBy !== undefined) return { kind: "release" };
  if (isDiscarded(error)) return { kind: "drop", error };
  const reason = buriedReason(error);
  if (reason !== undefined) return { kind: "dead", reason, error };
  switch (outcomeOf(error.code, outcomes)) {
    case "drop":
      return { kind: "drop", error };
    case "dead":
      return { kind: "dead", reason: "permanent", error };
    case "retry":
      return { kind: "retry", error };
  }
}

function outcomeOf(code: Code, outcomes: readonly ReadonlyMap<Code, Outcome>[]): Outcome {
  for (const some of outcomes) {
    const found = some.get(code);
    if (found !== undefined) return found;
  }
  return byDefault.get(code) ?? "retry";
}

/** What the refusal of a gate makes of a message. */
export type GateVerdict =
  | { readonly kind: "dead"; readonly reason: "refused" }
  /** It waits in its lane, and no attempt counts. */
  | { readonly kind: "wait" }
  /** It is as an error of the handler. */
  | { readonly kind: "error" };

/** What the refusal of a gate, by its code, makes of a message. */
export function gateVerdictOf(code: Code): GateVerdict {
  if (code === Code.Unauthenticated || code === Code.PermissionDenied)
    return { kind: "dead", reason: "refused" };
  return { kind: code === Code.ResourceExhausted || code === Code.Unavailable ? "wait" : "error" };
}

/**
 * `error` with the time after which the message shall be tried again, as `google.rpc.RetryInfo`. Where a message keeps
 * its place that is kept up to 10 minutes; elsewhere it takes the shortest retry queue that is not below it.
 *
 * @param delayMs in milliseconds
 */
export function retryAfter(delayMs: number, error: ConnectError): ConnectError {
  const copy = new ConnectError(error.rawMessage, error.code, error.metadata, undefined, error.cause);
  copy.details = [...error.details, retryInfo(delayMs)];
  return copy;
}

/**
 * The error by which a handler says that a message is of no use: it is settled, and counted as dropped. Callers by other
 * doors get FAILED_PRECONDITION with the reason.
 */
export function discard(why: string): ConnectError {
  return new ConnectError(why, Code.FailedPrecondition, undefined, [
    { desc: ErrorInfoSchema, value: discarded },
  ]);
}

/** The `google.rpc.ErrorInfo` of a message that is a dead letter at once, for a reason of its own. */
const buried = Object.freeze({ reason: "MESSAGE_DEAD", domain: "ts-ms" });

/** The error by which a handler of ours makes a message a dead letter, for another reason than `permanent`. */
export function buriedFor(reason: DeadReason, why: string): ConnectError {
  return new ConnectError(why, Code.FailedPrecondition, undefined, [
    { desc: ErrorInfoSchema, value: { ...buried, metadata: { reason } } },
  ]);
}

function buriedReason(error: ConnectError): DeadReason | undefined {
  if (error.details.length === 0) return undefined;
  const info = error
    .findDetails(ErrorInfoSchema)
    .find(({ reason, domain }) => reason === buried.reason && domain === buried.domain);
  return info?.metadata["reason"] as DeadReason | undefined; // As `buriedFor` has written it.
}

function isDiscarded(error: ConnectError): boolean {
  if (error.details.length === 0) return false;
  return error
    .findDetails(ErrorInfoSchema)
    .some(({ reason, domain }) => reason === discarded.reason && domain === discarded.domain);
}
