import { Code, ConnectError } from "../../core/errors/errors.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { WaitEnd } from "../wait.ts";
import { replyCodeOf, textOf } from "./amqp-line.ts";
import { replyCodes } from "./declaring.ts";

/** Why a message cannot be sent to where it goes: c=7 where that is not allowed, c=9 where it is missing or something else. */
export function targetError(reason: unknown): ConnectError {
  if (reason instanceof ConnectError) return reason;
  if (reason instanceof SetupError) {
    return new ConnectError(reason.message, Code.FailedPrecondition, undefined, undefined, reason);
  }
  const isRefused = replyCodeOf(reason) === replyCodes.refused;
  const code = isRefused ? Code.PermissionDenied : Code.Unavailable;
  return new ConnectError(`RabbitMQ: ${textOf(reason)}`, code, undefined, undefined, reason);
}

/** Why the client cannot write a message: its headers are too large, c=8, or a name is too long, c=3. */
export function formError(reason: unknown): ConnectError {
  const text = textOf(reason);
  const code = text.includes("exceeds") ? Code.ResourceExhausted : Code.InvalidArgument;
  return new ConnectError(`not sent: RabbitMQ: ${text}`, code, undefined, undefined, reason);
}

/** The code of an error of a wait that is over: that of its reason, or UNAVAILABLE. */
export function codeOf({ reason }: Pick<WaitEnd, "reason">): Code {
  return reason instanceof ConnectError ? reason.code : Code.Unavailable;
}
