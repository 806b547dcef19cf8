import { Code, ConnectError } from "../../core/errors/errors.ts";
import { unavailableFor } from "../../core/errors/retry-info.ts";
import { SetupError } from "../../core/errors/setup-error.ts";

/** When a message that a stream has refused may be tried again, in milliseconds. */
const refusedForMs = 1_000;

/** What NATS or its client says has gone wrong. */
export function textOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}

/** UNAVAILABLE with what has gone wrong. */
export function unavailable(reason: unknown): ConnectError {
  if (reason instanceof ConnectError) return reason;
  return new ConnectError(`NATS: ${textOf(reason)}`, Code.Unavailable, undefined, undefined, reason);
}

/** Whether NATS has refused something for what this user may do. */
export function isRefusal(reason: unknown): boolean {
  return /permission/i.test(textOf(reason));
}

/** Why a message cannot be sent to where it goes: c=9 where that is missing or something else, c=7 where it is not allowed. */
export function targetError(reason: unknown): ConnectError {
  if (reason instanceof SetupError) {
    return new ConnectError(reason.message, Code.FailedPrecondition, undefined, undefined, reason);
  }
  if (!isRefusal(reason)) return unavailable(reason);
  return new ConnectError(`NATS: ${textOf(reason)}`, Code.PermissionDenied, undefined, undefined, reason);
}

/** Why a stream has not taken a message: c=7 where it is not allowed, c=8 where it is too large, c=14 where there is no room. */
export function refusalOf(reason: unknown, target: string): ConnectError {
  const text = textOf(reason);
  if (isRefusal(reason)) {
    return new ConnectError(`not sent: NATS: ${text}`, Code.PermissionDenied, undefined, undefined, reason);
  }
  if (/message size|message too large|maximum payload/i.test(text)) return tooLarge(text);
  return unavailableFor(`NATS: the stream of ${target} has not taken the message: ${text}`, refusedForMs);
}

/** c=8 of a message that is not sent. */
export function tooLarge(text: string): ConnectError {
  return new ConnectError(`not sent: NATS: ${text}`, Code.ResourceExhausted);
}

/** What an error of an aborted wait has: that of the signal's reason, or UNAVAILABLE. */
export function codeOf({ reason }: AbortSignal): Code {
  return reason instanceof ConnectError ? reason.code : Code.Unavailable;
}
